#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "umbel/base/status.h"

namespace umbel::cli {

// A descriptor that is closed with its owner.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int value) : value_(value) {}
  Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  ~Descriptor() { reset(); }
  int get() const { return value_; }
  void reset();

 private:
  int value_ = -1;
};

struct ChildCommand {
  std::vector<std::string> arguments;  // the first one is the program, searched on PATH
  std::filesystem::path folder;        // where it starts; empty: here
  int log = -1;                        // takes its output and errors; -1: two pipes
  std::string events_variable;  // names a third pipe's descriptor in its environment; empty: none
  // Beside what is in this process's environment, or in its place.
  std::vector<std::pair<std::string, std::string>> environment = {};
  // It has this process's standard input, output and errors, and its terminal while it runs: what
  // is typed there, Ctrl-C too, is for it.
  bool has_terminal = false;
};

// A program in a process group of its own that gets SIGTERM when this one dies.  Pipes are read
// without blocking.  It has to be waited for: the destructor kills the group and does so.
class Child {
 public:
  // NOT_FOUND if there is no such program; UNAVAILABLE if it cannot be started.
  static Result<Child> start(const ChildCommand& command);
  Child(Child&&) noexcept = default;
  Child& operator=(Child&&) = delete;
  ~Child();

  int ended_descriptor() const { return ended_.get(); }  // readable once the program has ended
  Descriptor& output() { return output_; }
  Descriptor& errors() { return errors_; }
  Descriptor& events() { return events_; }

  void signal_group(int signal) const;
  // Kills what the program left running in its group, and returns its wait status.
  int wait();
  // Of the program and those that it waited for, once it has been waited for.
  double cpu_seconds() const { return cpu_seconds_; }

 private:
  explicit Child(int pid) : pid_(pid) {}

  struct Pid {
    int value = 0;
    explicit Pid(int pid) : value(pid) {}
    Pid(Pid&& other) noexcept : value(std::exchange(other.value, 0)) {}
  } pid_;
  Descriptor ended_, output_, errors_, events_;
  bool has_terminal_ = false;
  double cpu_seconds_ = 0;
};

// "ended with exit code 3", "was ended by signal 11 (Segmentation fault)".
std::string describe_end(int wait_status);

// The program's path if it is on PATH, or "".
std::string find_program(const std::string& name);

}  // namespace umbel::cli
