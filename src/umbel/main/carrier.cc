#include "umbel/main/carrier.h"

#include <cstdlib>

#include "umbel/runner/hub_grid.h"
#include "umbel/runner/process_clients.h"
#include "umbel/simulation/simulation.h"

namespace umbel {

namespace {

std::optional<Population> population_of(const RunSpec& spec) {
  if (!spec.population) return std::nullopt;
  return or_throw(Population::make(*spec.population, spec.run.nodes, spec.run.seed));
}

// Workers share the processors, each with one thread: libraries that start threads of their own
// would be in each other's way.
std::vector<std::pair<std::string, std::string>> one_thread_each() {
  std::vector<std::pair<std::string, std::string>> variables;
  for (const char* name :
       {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS",
        "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"}) {
    if (!std::getenv(name)) variables.emplace_back(name, "1");
  }
  return variables;
}

// Who answers: the programs that the spec names, or the app's own.
std::unique_ptr<ClientHandler> clients_of(const RunSpec& spec, const MakeClients& own) {
  const bool by_zygote = !spec.zygote_command.empty();
  const auto& arguments = by_zygote ? spec.zygote_command : spec.client_command;
  if (arguments.empty()) return own(spec, *spec.run.runtime);
  runner::WorkerCommand command{.arguments = arguments, .environment = one_thread_each()};
  std::unique_ptr<runner::WorkerSource> source =
      by_zygote ? or_throw(runner::exec_zygote(std::move(command)))
                : runner::exec_workers(std::move(command));
  return std::make_unique<runner::ProcessClients>(
      std::move(source), spec.run, spec.threads ? spec.threads : available_processors());
}

class SimulationCarrier final : public Carrier {
 public:
  SimulationCarrier(std::unique_ptr<ClientHandler> clients, const RunSpec& spec, Events& events)
      : clients_(std::move(clients)),
        simulation_(*clients_, spec.run,
                    {.threads = spec.threads,
                     .progress = [&events](const Progress& p) { events.progress(p); },
                     .population = population_of(spec)}) {}
  Grid& grid() override { return simulation_; }
  Parallel& parallel() override { return simulation_.parallel(); }
  void request_stop() override { simulation_.request_stop(); }
  bool stop_requested() const override { return simulation_.stop_requested(); }
  bool sent() const override { return simulation_.sent(); }
  bool shut_down(std::chrono::milliseconds grace) override { return simulation_.shut_down(grace); }

 private:
  std::unique_ptr<ClientHandler> clients_;
  Simulation simulation_;
};

// What another owns.
class Borrowed final : public ClientHandler {
 public:
  explicit Borrowed(const ClientHandler& client) : client_(client) {}
  Message handle(const Message& message, Context& context) const override {
    return client_.handle(message, context);
  }
  void prepare() const override { client_.prepare(); }
  void give_up(const Metadata& message) const override { client_.give_up(message); }
  void stop() const override { client_.stop(); }

 private:
  const ClientHandler& client_;
};

class HubCarrier final : public Carrier {
 public:
  HubCarrier(runner::Channel channel, const RunSpec& spec)
      : grid_(std::move(channel), spec.run),
        team_(spec.threads ? spec.threads : available_processors()) {}
  Grid& grid() override { return grid_; }
  Parallel& parallel() override { return team_; }
  void request_stop() override { grid_.request_stop(); }
  bool stop_requested() const override { return grid_.stop_requested(); }
  bool sent() const override { return grid_.sent(); }
  bool shut_down(std::chrono::milliseconds) override { return true; }  // no client code runs here

 private:
  runner::HubGrid grid_;
  ThreadTeam team_;
};

}  // namespace

MakeCarrier simulated(MakeClients clients) {
  return [clients = std::move(clients)](const RunSpec& spec, Events& events) {
    return std::make_unique<SimulationCarrier>(clients_of(spec, clients), spec, events);
  };
}

MakeCarrier simulated(const ClientHandler& client) {
  return simulated(
      [&client](const RunSpec&, Runtime&) { return std::make_unique<Borrowed>(client); });
}

MakeCarrier deployed(runner::Channel channel) {
  const auto shared = std::make_shared<runner::Channel>(std::move(channel));
  return [shared](const RunSpec& spec, Events&) {
    return std::make_unique<HubCarrier>(std::move(*shared), spec);
  };
}

}  // namespace umbel
