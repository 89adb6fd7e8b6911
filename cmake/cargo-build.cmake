# Run by the build: makes one kind of the library with cargo and puts it at OUTPUT, with a depfile.
# CARGO KIND SOURCE_DIR TARGET_DIR TRIPLE OUTPUT DEPFILE FLAGS [LINKER] [IMPORT, on Windows; SONAME, elsewhere]
cmake_minimum_required(VERSION 3.21)

# Make's job server is not open to us, and cargo would complain about it.
foreach(name MAKEFLAGS MFLAGS MAKELEVEL CARGO_MAKEFLAGS)
  unset(ENV{${name}})
endforeach()
if(LINKER)
  string(TOUPPER "${TRIPLE}" name)
  string(REPLACE "-" "_" name "${name}")
  set(ENV{CARGO_TARGET_${name}_LINKER} "${LINKER}")
endif()

get_filename_component(folder "${OUTPUT}" DIRECTORY)
file(MAKE_DIRECTORY "${folder}" "${TARGET_DIR}")

# Both kinds leave their depfile under one name, and build trees may share the folder: one at a time.
file(LOCK "${TARGET_DIR}" DIRECTORY GUARD PROCESS)

if(IMPORT)
  set(made "cr.dll")
  get_filename_component(import "${IMPORT}" NAME)
elseif(KIND STREQUAL "cdylib")
  # Cargo sets no SONAME, and as install name a path.
  if(TRIPLE MATCHES "apple")
    set(made "libcr.dylib")
    set(rustc_flags -- -C "link-arg=-Wl,-install_name,${SONAME}")
  else()
    set(made "libcr.so")
    set(rustc_flags -- -C "link-arg=-Wl,-soname,${SONAME}")
  endif()
elseif(TRIPLE MATCHES "msvc")
  set(made "cr.lib")
else()
  set(made "libcr.a")
endif()

# The test command compares what rustc tells with native-libs.cmake. It gives the same flags, or all would be compiled anew.
if(KIND STREQUAL "staticlib")
  set(rustc_flags -- --print "native-static-libs=${TARGET_DIR}/native-static-libs.txt")
endif()

# One kind in each build: with several, cargo leaves link-time optimisation out.
execute_process(
    COMMAND "${CARGO}" rustc --release --locked --lib --features capi --crate-type "${KIND}"
            --target "${TRIPLE}" --target-dir "${TARGET_DIR}" ${FLAGS} ${rustc_flags}
    WORKING_DIRECTORY "${SOURCE_DIR}"
    RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "cr: cargo could not build ${made} (${status}); its messages are above.")
endif()

# Renamed into place: a program that is running may have the old file mapped.
set(made_dir "${TARGET_DIR}/${TRIPLE}/release")
file(COPY_FILE "${made_dir}/${made}" "${OUTPUT}.new")
file(RENAME "${OUTPUT}.new" "${OUTPUT}")
file(TOUCH "${OUTPUT}")
if(IMPORT)
  file(COPY_FILE "${made_dir}/${import}" "${IMPORT}")
elseif(made STREQUAL "libcr.so")
  get_filename_component(name "${OUTPUT}" NAME)
  file(CREATE_LINK "${name}" "${folder}/${SONAME}" SYMBOLIC)
  file(CREATE_LINK "${SONAME}" "${folder}/libcr.so" SYMBOLIC)
endif()

# Cargo's list of sources, with our file in front of the colon.
string(REGEX REPLACE "\\.[a-z]+$" ".d" list "${made}")
file(READ "${made_dir}/${list}" sources)
string(REGEX REPLACE "^[^\n]*\\.(a|so|dylib|dll|lib): ?" "" sources "${sources}")
string(REPLACE " " "\\ " escaped "${OUTPUT}")
file(WRITE "${DEPFILE}" "${escaped}: ${sources}")
