#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "umbel/bundle/python_entry.h"

namespace umbel::bundle {

// The Python interpreter that apps run in, and how it is started.
struct Interpreter {
  std::filesystem::path program;  // absolute; its links are not followed: a venv is known by them
  std::string origin;             // which of the places below, such as "--python"
  std::filesystem::path package;  // the folder with this build's package; "": one is installed
};

struct InterpreterSearch {
  std::string given;           // --python PATH, or a name on PATH
  bool of_user = true;         // whether $VIRTUAL_ENV counts: it is of whoever started a daemon
  std::filesystem::path self;  // this program's file; "": as the system tells it
};

// The first of: what is given; $UMBEL_PYTHON; $VIRTUAL_ENV/bin/python; python3 beside this program;
// python-env/bin/python of the build tree that this program lies in; python3 on PATH.  The first
// two must be there.  NOT_FOUND names what is missing and what to do.  Starts nothing: what is
// wrong with an interpreter, python_command() makes it say itself.
Result<Interpreter> find_interpreter(const InterpreterSearch& search);

// What starts a module of the umbel package: `PYTHON -m MODULE ARGUMENTS`, but that an interpreter
// older than 3.10, one without umbel, with another version of it, or with one that was compiled for
// another Python says so in one line and what to do: to standard error, and where there is
// $UMBEL_EVENTS_FD as the event of a failed run (docs/app-process.md); its exit code is then 4.
// The folder that it is started in is the first that the app's modules are looked for in, but not
// umbel's own.  An empty module: nothing but these checks.
std::vector<std::string> python_command(const Interpreter& python, const std::string& module,
                                        const std::vector<std::string>& arguments);

// The arguments for an app's process: --server, --client, --flower, as far as they are asked for.
enum class PythonSides { kBoth, kServer, kClient };
std::vector<std::string> entry_arguments(const PythonEntry& entry, PythonSides sides);

// What such a process has in its environment: one thread for each numerical library (workers are as
// many as processors) unless the environment of this process says otherwise; PYTHONPATH, with what
// stood in it if it is the user's.  In a daemon no file is written beside the app's.
std::vector<std::pair<std::string, std::string>> python_environment(const Interpreter& python,
                                                                    bool of_user);

}  // namespace umbel::bundle
