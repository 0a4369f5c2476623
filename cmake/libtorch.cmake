# umbel_libtorch: LibTorch, Debian's libtorch-dev or the one that Torch_DIR names.  Without one there is
# no such target, and umbel_no_libtorch says why.
if(NOT TARGET umbel_libtorch)
  find_package(Torch QUIET)
  if(NOT TARGET torch)
    set(umbel_no_libtorch "CMake finds no LibTorch: `./dev setup --with torch` installs Debian's, "
      "-DTorch_DIR=FOLDER names another")
    string(CONCAT umbel_no_libtorch ${umbel_no_libtorch})
  elseif(Torch_VERSION AND Torch_VERSION VERSION_LESS 1.13)
    set(umbel_no_libtorch "LibTorch ${Torch_VERSION} is too old, expected 1.13 or newer: ${Torch_DIR}")
  else()
    add_library(umbel_libtorch INTERFACE IMPORTED)
    target_link_libraries(umbel_libtorch INTERFACE ${TORCH_LIBRARIES} ${CMAKE_DL_LIBS})
  endif()
endif()
