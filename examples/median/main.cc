// An aggregation rule of one's own: the ServerApp asks for single replies and takes the median of
// what they say, which some clients that lie cannot move.  Also a query with a name, and a mod.
#include <umbel/umbel.h>

#include <algorithm>
#include <string>
#include <vector>

namespace {

constexpr double kHonest = 20.0;

// A sensor's reading; the first few clients are broken.
umbel::Message read_sensor(const umbel::Message& message, umbel::Context& context) {
  const auto outliers =
      static_cast<uint64_t>(context.run_config().integer("outliers", umbel::at_least(0)));
  const bool broken = context.partition_id() < outliers;
  const double reading = broken ? 1e6 : kHonest + context.rng().normal();
  return message.reply(umbel::MetricRecord{{"reading", reading}});
}

// Around every action: how often this client was asked, kept in its state.
umbel::Message count_calls(const umbel::Message& message, umbel::Context& context,
                           const umbel::ClientApp::Action& next) {
  umbel::MetricRecord calls{{"calls", 0}};
  if (const auto* kept = umbel::first_of<umbel::MetricRecord>(context.state())) calls = *kept;
  calls.set("calls", calls.integer("calls") + 1);
  context.state().set("calls", calls);
  return next(message, context);
}

void serve(umbel::Grid& grid, umbel::Context& context) {
  std::vector<umbel::Message> messages;
  for (uint64_t node = 0; node != grid.node_count(); ++node) {
    messages.push_back(grid.make_message("query.sensor", umbel::NodeId(node), {}));
  }
  std::vector<double> readings;
  for (const umbel::Message& reply : grid.send_and_receive(std::move(messages))) {
    if (!reply.has_error()) readings.push_back(reply.metrics().real("reading"));
  }
  if (readings.empty()) throw umbel::Error(umbel::failed_precondition("no sensor answered"));
  double sum = 0;
  for (const double reading : readings) sum += reading;
  const auto middle = readings.begin() + static_cast<std::ptrdiff_t>(readings.size() / 2);
  std::ranges::nth_element(readings, middle);
  context.log("median " + std::to_string(*middle) + " of " + std::to_string(readings.size()) +
              " sensors");
  context.publish("sensors",
                  {{"median", *middle}, {"mean", sum / static_cast<double>(readings.size())}});
  context.save("median.safetensors", {{"median", umbel::Array::of<double>({*middle})}});
}

}  // namespace

umbel::ClientApp client = umbel::ClientApp().query("sensor", read_sensor).mod(count_calls);
umbel::ServerApp server = umbel::ServerApp().main(serve);
UMBEL_MAIN(server, client)
