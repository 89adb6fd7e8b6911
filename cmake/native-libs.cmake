# What a program that contains libcr.a needs besides it. `cargo xtask test` compares the list with what
# `rustc --print native-static-libs` says (all but the C library and kernel32, which come by themselves).
if(WIN32)
  set(CR_NATIVE_LIBS ntdll userenv ws2_32 dbghelp)
elseif(APPLE)
  set(CR_NATIVE_LIBS System) # the C library and all that goes with it
else()
  set(CR_NATIVE_LIBS gcc_s util rt pthread m dl)
endif()

# Only what is really used becomes a dependency of the program, and the user's own choice of --as-needed or
# --no-as-needed stays as it is. One word, because CMake may reorder or merge several.
list(TRANSFORM CR_NATIVE_LIBS PREPEND "-l" OUTPUT_VARIABLE _cr_libs)
list(JOIN _cr_libs "," _cr_libs)
if(WIN32 OR APPLE)
  set(CR_NATIVE_LINK ${CR_NATIVE_LIBS}) # only what is used gets into a program's table of imports
else()
  set(CR_NATIVE_LINK "-Wl,--push-state,--as-needed,${_cr_libs},--pop-state")
endif()

# What `cr` stands for: nothing but the header for a guest that is a MODULE, the static library for all others.
# (For a guest that is a SHARED library the archive adds nothing either: it refers to no function of cr.)
set(CR_DEFAULT_LINK "$<$<NOT:$<STREQUAL:$<TARGET_PROPERTY:TYPE>,MODULE_LIBRARY>>:cr::static>")
