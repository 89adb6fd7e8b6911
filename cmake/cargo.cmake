# Finds cargo and tells the build how to make the library with it.

find_program(CR_CARGO cargo HINTS ENV CARGO_HOME "$ENV{HOME}/.cargo" PATH_SUFFIXES bin
    DOC "The cargo that builds cr")
if(NOT CR_CARGO)
  message(FATAL_ERROR
      "cr is written in Rust: building it needs cargo ${_cr_rust_version} or newer, and no cargo was found.\n"
      "Install Rust (https://rustup.rs, or your system's packages), or pass -DCR_CARGO=/path/to/cargo.")
endif()

execute_process(COMMAND "${CR_CARGO}" -vV WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}"
    OUTPUT_VARIABLE _cr_cargo_text ERROR_VARIABLE _cr_cargo_error RESULT_VARIABLE _cr_cargo_result)
if(NOT _cr_cargo_result EQUAL 0 OR NOT _cr_cargo_text MATCHES "release: ([0-9]+\\.[0-9]+\\.[0-9]+)")
  message(FATAL_ERROR "`${CR_CARGO} -vV` failed (${_cr_cargo_result}):\n${_cr_cargo_text}${_cr_cargo_error}"
      "Repair Rust, or pass -DCR_CARGO=/path/to/cargo.")
endif()
set(_cr_cargo_version "${CMAKE_MATCH_1}")
if(_cr_cargo_version VERSION_LESS _cr_rust_version)
  message(FATAL_ERROR
      "cr needs cargo ${_cr_rust_version} or newer; ${CR_CARGO} is ${_cr_cargo_version}.\n"
      "Update Rust (rustup update), or pass -DCR_CARGO=/path/to/a/newer/cargo.")
endif()

# The target is always named, so that the place of the result does not depend on the user's cargo settings.
if(CR_CARGO_TARGET)
  set(_cr_triple "${CR_CARGO_TARGET}")
elseif(_cr_cargo_text MATCHES "host: ([^\n]+)")
  set(_cr_triple "${CMAKE_MATCH_1}")
endif()

# The names of the libraries, as this system's compilers look for them.
if(WIN32 AND _cr_triple MATCHES "msvc")
  set(_cr_static_name "cr.lib")
  set(_cr_shared_name "cr.dll")
  set(_cr_import "${PROJECT_BINARY_DIR}/lib/cr.dll.lib")
elseif(WIN32)
  set(_cr_static_name "libcr.a")
  set(_cr_shared_name "cr.dll")
  set(_cr_import "${PROJECT_BINARY_DIR}/lib/libcr.dll.a")
elseif(APPLE)
  set(_cr_static_name "libcr.a")
  set(_cr_shared_name "libcr.dylib")
  set(_cr_soname "@rpath/libcr.dylib")
  set(_cr_import)
else()
  set(_cr_static_name "libcr.a")
  set(_cr_shared_name "libcr.so.${PROJECT_VERSION}")
  set(_cr_soname "libcr.so.${PROJECT_VERSION_MAJOR}")
  set(_cr_import)
endif()

# Builds one kind of the library, staticlib or cdylib, with the custom target cr_<kind>, and sets the variable
# <result> to the file. Cargo runs when a source that it named itself (the depfile) or the manifest is newer.
function(cr_cargo_library kind result)
  if(kind STREQUAL "staticlib")
    set(file "${_cr_static_name}")
  else()
    set(file "${_cr_shared_name}")
    if(WIN32)
      set(byproducts BYPRODUCTS "${_cr_import}")
      set(import "-DIMPORT=${_cr_import}")
    endif()
  endif()
  if(_cr_soname)
    set(soname "-DSONAME=${_cr_soname}")
  endif()
  set(output "${PROJECT_BINARY_DIR}/lib/${file}")
  set(depfile "${PROJECT_BINARY_DIR}/lib/${kind}.d")
  separate_arguments(flags NATIVE_COMMAND "${CR_CARGO_FLAGS}")
  if(CMAKE_CROSSCOMPILING)
    set(linker "-DLINKER=${CMAKE_C_COMPILER}")
  endif()
  set(sources Cargo.toml Cargo.lock cmake/cargo-build.cmake)
  list(TRANSFORM sources PREPEND "${PROJECT_SOURCE_DIR}/")
  add_custom_command(
      OUTPUT "${output}"
      ${byproducts}
      COMMAND "${CMAKE_COMMAND}" "-DCARGO=${CR_CARGO}" "-DKIND=${kind}" "-DSOURCE_DIR=${PROJECT_SOURCE_DIR}" "-DTARGET_DIR=${CR_CARGO_TARGET_DIR}" "-DTRIPLE=${_cr_triple}"
              "-DOUTPUT=${output}" "-DDEPFILE=${depfile}" "-DFLAGS=${flags}" ${soname} ${linker} ${import}
              -P "${PROJECT_SOURCE_DIR}/cmake/cargo-build.cmake"
      DEPENDS ${sources}
      DEPFILE "${depfile}"
      COMMENT "Building ${file} with cargo"
      USES_TERMINAL VERBATIM)
  # Alone in the project everything is built; inside another one only what is used.
  if(CR_INSTALL)
    set(all ALL)
  endif()
  add_custom_target(cr_${kind} ${all} DEPENDS "${output}")
  set(${result} "${output}" PARENT_SCOPE)
endfunction()
