#pragma once

namespace umbel::torch {

// Makes torch and the libraries it computes with use no thread but the calling one: for this thread
// at once, for others when they call it.  Cheap after a thread's first call.  umbel::Error where
// the OpenBLAS that torch loaded is a build that several threads must not use.
void use_one_thread();

}  // namespace umbel::torch
