# A toolchain file: builds for 64-bit Windows with MinGW-w64 on another system.
#
#   rustup target add x86_64-pc-windows-gnu
#   cmake -S . -B build -DCMAKE_TOOLCHAIN_FILE=cmake/mingw-w64.cmake
set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_SYSTEM_PROCESSOR x86_64)

# Of MinGW's two thread libraries, C++11 needs the one with POSIX threads.
find_program(_mingw_gcc NAMES x86_64-w64-mingw32-gcc-posix x86_64-w64-mingw32-gcc REQUIRED)
find_program(_mingw_gxx NAMES x86_64-w64-mingw32-g++-posix x86_64-w64-mingw32-g++ REQUIRED)
set(CMAKE_C_COMPILER "${_mingw_gcc}")
set(CMAKE_CXX_COMPILER "${_mingw_gxx}")
set(CMAKE_RC_COMPILER x86_64-w64-mingw32-windres)

set(CMAKE_FIND_ROOT_PATH /usr/x86_64-w64-mingw32)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)

set(CR_CARGO_TARGET x86_64-pc-windows-gnu CACHE STRING "Rust target triple")
