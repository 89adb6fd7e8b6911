# cmake --install: header, both libraries, the package for find_package(cr), and cr.pc for pkg-config.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(FILES include/cr.h DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(FILES "${_cr_static}" DESTINATION "${CMAKE_INSTALL_LIBDIR}")
get_filename_component(_cr_folder "${_cr_shared}" DIRECTORY)
if(WIN32)
  # Programs find the library beside themselves, linkers find what they need of it.
  install(PROGRAMS "${_cr_shared}" DESTINATION "${CMAKE_INSTALL_BINDIR}")
  install(FILES "${_cr_import}" DESTINATION "${CMAKE_INSTALL_LIBDIR}")
  get_filename_component(_cr_import_name "${_cr_import}" NAME)
elseif(APPLE)
  install(PROGRAMS "${_cr_shared}" DESTINATION "${CMAKE_INSTALL_LIBDIR}")
else()
  install(PROGRAMS "${_cr_shared}" DESTINATION "${CMAKE_INSTALL_LIBDIR}")
  install(FILES "${_cr_folder}/libcr.so.${PROJECT_VERSION_MAJOR}" "${_cr_folder}/libcr.so"
      DESTINATION "${CMAKE_INSTALL_LIBDIR}")
endif()

set(_cr_package "${CMAKE_INSTALL_LIBDIR}/cmake/cr")
configure_package_config_file(cmake/cr-config.cmake.in "${PROJECT_BINARY_DIR}/package/cr-config.cmake"
    INSTALL_DESTINATION "${_cr_package}"
    PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_BINDIR)
# Before 1.0 a new minor version may change things.
write_basic_package_version_file("${PROJECT_BINARY_DIR}/package/cr-config-version.cmake"
    COMPATIBILITY SameMinorVersion)
install(FILES
    "${PROJECT_BINARY_DIR}/package/cr-config.cmake"
    "${PROJECT_BINARY_DIR}/package/cr-config-version.cmake"
    cmake/native-libs.cmake
    DESTINATION "${_cr_package}")

# Relative to the file itself, so that the installed tree can be moved.
file(RELATIVE_PATH CR_PC_PREFIX
    "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig" "${CMAKE_INSTALL_PREFIX}")
string(REGEX REPLACE "/$" "" CR_PC_PREFIX "${CR_PC_PREFIX}")
list(TRANSFORM CR_NATIVE_LIBS PREPEND "-l" OUTPUT_VARIABLE CR_PC_PRIVATE)
list(JOIN CR_PC_PRIVATE " " CR_PC_PRIVATE)
foreach(_cr_kind INCLUDE LIB)
  set(CR_PC_${_cr_kind}DIR "${CMAKE_INSTALL_${_cr_kind}DIR}")
  if(NOT IS_ABSOLUTE "${CR_PC_${_cr_kind}DIR}")
    string(PREPEND CR_PC_${_cr_kind}DIR "\${prefix}/")
  endif()
endforeach()
configure_file(cmake/cr.pc.in "${PROJECT_BINARY_DIR}/package/cr.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/package/cr.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
