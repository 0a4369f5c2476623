// The app of the deployment's benches.  "fold": rounds of a model of so many bytes, sent to all
// nodes and folded from what they reply.  "ping": one small message to the first node, and its
// reply, again and again.  bench_deploy's nodes answer without running a ClientApp, and take the
// times.
#include <umbel/umbel.h>

#include <memory>
#include <numeric>

namespace {

umbel::Message train(const umbel::Message& message, umbel::Context&) {
  return message.reply(message.arrays(), {{"num-examples", 1}});
}

void ping(umbel::Grid& grid, uint64_t rounds) {
  for (uint64_t round = 0; round != rounds; ++round) {
    umbel::Message message = grid.make_message("query", umbel::NodeId(0), {});
    if (grid.send_and_receive({std::move(message)}).at(0).has_error()) {
      throw umbel::Error(umbel::unavailable("the node did not answer"));
    }
  }
}

void fold(umbel::Grid& grid, uint64_t rounds, int64_t bytes) {
  umbel::ArrayRecord model{{"model", umbel::Array::zeros(umbel::DType::kFloat32, {bytes / 4})}};
  std::vector<uint64_t> nodes(grid.node_count());
  std::iota(nodes.begin(), nodes.end(), 0);
  for (uint64_t round = 1; round <= rounds; ++round) {
    umbel::AggregationPlan plan;
    plan.layout = std::make_shared<const umbel::ArrayRecord>(model);
    auto folded = grid.send_and_fold({.type = "train",
                                      .round = round,
                                      .nodes = nodes,
                                      .content = umbel::make_content(model, {})},
                                     plan);
    if (folded.failure_count() != 0) {
      throw umbel::Error(umbel::unavailable("not every node's reply was folded"));
    }
    model = std::move(folded.arrays);
  }
}

void serve(umbel::Grid& grid, umbel::Context& context) {
  const umbel::RunConfig& config = context.run_config();
  const auto rounds = static_cast<uint64_t>(config.integer("rounds", umbel::at_least(1)));
  if (config.text("mode") == "ping") return ping(grid, rounds);
  fold(grid, rounds, config.integer("model-bytes", umbel::at_least(4)));
}

}  // namespace

umbel::ClientApp client = umbel::ClientApp().train(train);
umbel::ServerApp server = umbel::ServerApp().main(serve);
UMBEL_MAIN(server, client)
