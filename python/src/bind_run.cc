#include <fcntl.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>
#include <signal.h>

#include <optional>

#include "convert.h"
#include "gil.h"
#include "umbel/app/initial.h"
#include "umbel/main/host.h"
#include "umbel/main/local_run.h"
#include "umbel/runner/client_process.h"
#include "umbel/runner/process_clients.h"
#include "umbel/runner/worker_source.h"

namespace umbel::python {

namespace {

// Ends a native handle's use with the call that it was made for.
template <class Ref>
struct Lent {
  nb::object native;
  ~Lent() { nb::inst_ptr<Ref>(native)->end(); }
};
template <class Ref>
nb::object lend(Ref* ref) {
  return nb::cast(ref, nb::rv_policy::take_ownership);
}

// Python's answer to messages: a function of a Message and a Context that gives a RecordDict, or an
// umbel.app.Error.  It catches what the user's code raises; see umbel/_process/client.py.
class PythonClients final : public ClientHandler {
 public:
  // `in_process`: replies stay in this process, where the user's code may write to their arrays.
  PythonClients(SharedObject answer, bool in_process)
      : answer_(std::move(answer)), in_process_(in_process) {}

  Message handle(const Message& message, Context& context) const override {
    const DenormalMode exact(DenormalMode::kExact);  // as the same code has it without us
    const nb::gil_scoped_acquire gil;
    try {
      return answer(message, context);
    } catch (const nb::python_error& error) {
      return refused(message, message_of(status_of(error)));
    } catch (const std::exception& error) {
      return refused(message, error.what());
    }
  }

 private:
  static Message refused(const Message& message, std::string_view why) {
    return message.reply(
        MessageError{MessageError::Code::kBadReply,
                     fmt::format("client {}: {}", message.metadata().destination.value(), why)});
  }

  Message answer(const Message& message, Context& context) const {
    static const nb::handle make_context =
        nb::object(nb::module_::import_("umbel.app._context").attr("from_native")).release();
    const Lent<ContextRef> lent{lend(new ContextRef(context))};
    const nb::object scope =
        make_context(lent.native, context.run_id().value(), context.node_id().value());
    const nb::object asked = to_python(in_process_ ? own(message) : message);
    const nb::object reply = or_stay([&] { return (*answer_)(asked, scope); });
    if (!PyDict_Check(reply.ptr())) {
      const nb::object code = reply.attr("code");
      return message.reply(MessageError{code_of_error(nb::cast<int>(code)),
                                        shown_text(nb::object(reply.attr("reason")))});
    }
    RecordDict content = mine(content_from(reply));
    const nb::object state = scope.attr("_state");
    if (!state.is_none()) context.state() = mine(content_from(state));
    return message.reply(std::move(content));
  }

  // PyTorch takes arrays that are read-only and writes to them: here others have the same memory.
  static Message own(const Message& message) {
    if (message.has_error()) return message;
    return {message.metadata(), kept(message.content())};
  }

  RecordDict mine(RecordDict content) const { return in_process_ ? kept(content) : content; }

  SharedObject answer_;
  const bool in_process_;
};

// The ServerApp's main function in Python: main(grid, context).  What it raises it has told the
// log; here it becomes the run's error.
ServerApp server_app(SharedObject main, bool hosted) {
  ServerApp app;
  app.main([main = std::move(main), hosted](Grid& grid, Context& context) {
    std::optional<SignalsLetThrough> signals;
    if (hosted) signals.emplace();  // elsewhere they are the program's
    const DenormalMode exact(DenormalMode::kExact);
    const nb::gil_scoped_acquire gil;
    const Lent<GridRef> grid_lent{lend(new GridRef(grid))};
    const Lent<ContextRef> context_lent{lend(new ContextRef(context))};
    try {
      (*main)(grid_lent.native, context_lent.native, context.run_id().value());
    } catch (const nb::python_error& error) {
      throw Error(status_of(error));
    }
  });
  return app;
}

size_t workers_of(const RunSpec& spec) {
  return spec.threads ? spec.threads : available_processors();
}

// Clients in workers of the zygote at the other end of `control`, which this takes; or, without one
// (-1), that `command` starts in `folder`; or, without that, in this process.
MakeClients clients_of(nb::handle answer, int control, std::vector<std::string> command,
                       const std::string& folder) {
  if (!command.empty()) {
    return [command = std::move(command), folder](const RunSpec& spec, Runtime&) {
      return std::make_unique<runner::ProcessClients>(
          runner::exec_workers({.arguments = command, .folder = folder}), spec.run,
          workers_of(spec));
    };
  }
  if (control < 0) {
    return [function = shared(answer)](const RunSpec&, Runtime&) {
      return std::make_unique<PythonClients>(function, true);
    };
  }
  const auto socket = std::make_shared<Descriptor>(control);
  return [socket](const RunSpec& spec, Runtime&) {
    return std::make_unique<runner::ProcessClients>(runner::zygote_workers(std::move(*socket)),
                                                    spec.run, workers_of(spec));
  };
}

int host_app(const std::string& spec, nb::handle main, nb::handle answer, int control,
             std::vector<std::string> command, const std::string& folder) {
  const MakeCarrier simulation = simulated(clients_of(answer, control, std::move(command), folder));
  const ServerApp server = server_app(shared(main), true);
  ::signal(SIGPIPE, SIG_IGN);
  keep_freed_memory();
  const WithoutGil release;
  sigset_t signals;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &signals);
  const int code = host_run(spec.c_str(), server, simulation);
  // What is left of the app, such as a thread that Python waits for, ends as any program.
  ::pthread_sigmask(SIG_SETMASK, &signals, nullptr);
  return code;
}

int serve_clients(nb::handle answer, int channel) {
  const PythonClients clients(shared(answer), false);
  ::signal(SIGPIPE, SIG_IGN);
  keep_freed_memory();
  const WithoutGil release;
  if (channel < 0) return host_clients(clients);
  return runner::run_client_process(runner::Channel(Descriptor(channel)), clients);
}

// A run inside a program that is the user's own: events go to a descriptor, signals stay theirs.
class OwnRun {
 public:
  OwnRun(const std::string& spec, nb::handle main, nb::handle answer, int control, int events)
      : server_(server_app(shared(main), false)),
        descriptor_(::fcntl(events, F_DUPFD_CLOEXEC, 0)),
        events_(std::make_unique<Events>(descriptor_.get())) {
    RunSpec parsed = or_throw(read_run_spec(spec));
    const MakeCarrier carrier = simulated(clients_of(answer, control, {}, {}));
    const WithoutGil release;
    run_ = std::make_unique<LocalRun>(std::move(parsed), carrier, *events_);
  }
  ~OwnRun() { close(); }
  void close() {
    const WithoutGil release;
    run_.reset();
  }
  int run() {
    const WithoutGil release;
    if (!run_) throw Error(failed_precondition("the run is closed"));
    const int code = run_->run(server_);
    if (run_->shut_down()) return code;
    // A client's code that does not return keeps what it uses; the user's program goes on.
    (void)run_.release();
    (void)events_.release();
    (void)descriptor_.release();
    return code;
  }
  void request_stop() {
    const WithoutGil release;
    if (run_) run_->request_stop();
  }

 private:
  ServerApp server_;
  Descriptor descriptor_;  // of its own: what does not return may use it
  std::unique_ptr<Events> events_;
  std::unique_ptr<LocalRun> run_;
};

}  // namespace

void bind_run(nb::module_& module) {
  module.def("host_app", host_app, nb::arg("spec"), nb::arg("main"), nb::arg("answer").none(),
             nb::arg("control"), nb::arg("command"), nb::arg("folder"),
             "--umbel-run: a run from its spec to its end; the exit code.");
  module.def("serve_clients", serve_clients, nb::arg("answer"), nb::arg("channel") = -1,
             "Answers the messages of a channel until it closes; the exit code.");
  module.def(
      "load_arrays",
      [](nb::handle given) {
        const std::string path = path_from(given);
        const ArrayRecord arrays = [&] {
          const WithoutGil release;
          return load_arrays(path);
        }();
        return to_python(arrays);
      },
      nb::arg("path"), nb::sig("def load_arrays(path: object) -> typing.Any"),
      "The arrays of a .safetensors or .npz file, mapped where that can be.");
  nb::class_<OwnRun>(module, "OwnRun", "A run in a process that is the user's own.")
      .def(nb::init<const std::string&, nb::handle, nb::handle, int, int>(), nb::arg("spec"),
           nb::arg("main"), nb::arg("answer").none(), nb::arg("control"), nb::arg("events"))
      .def("run", &OwnRun::run, "Runs it on the calling thread; the exit code.")
      .def("close", &OwnRun::close, "Ends what it has: threads, workers; after run().")
      .def("request_stop", &OwnRun::request_stop, "Asks it to stop; any thread.");
}

}  // namespace umbel::python
