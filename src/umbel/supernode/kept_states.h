#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "umbel/record/message.h"
#include "umbel/wire/fleet.h"

namespace umbel::supernode {

// What a run's clients keep from one message to the next (Context::state()): in memory, and in a
// file a client, FOLDER/run-ID/client-N.state (mode 0600), so that it survives the node.  It is
// never sent anywhere.  Clients that keep nothing have no file.
//
// A hub or node that is started again after a crash may ask for a message's work a second time.  It
// then begins from the state that it began from the first time: the states before each message of
// the client's current round are kept too.
//
// One thread at a time.
class KeptStates {
 public:
  static constexpr size_t kClientsMax = 10'000;  // of one run; others keep nothing
  static constexpr size_t kStepsMax = 8;         // messages of a round that can be begun again

  // States go to, and come from, this folder; files of another run of the same number do not count.
  // A second call for the same run changes nothing.
  void open(const std::filesystem::path& folder, const wire::RunInfo& run);

  // What the client has when it begins this message; empty if it keeps nothing.  DATA_LOSS that
  // names the file if what is there was not written by keep().
  Result<RecordDict> before(uint64_t client, const Metadata& message);
  // What it has after it; before() of the same message came first.  An error says that it is in
  // memory alone.
  Status keep(uint64_t client, const Metadata& message, RecordDict state);

 private:
  struct Step {
    MessageId message;
    uint64_t round = 0;
    RecordDict before;
  };
  struct Kept {
    std::vector<Step> steps;  // of one round, oldest first
    RecordDict now;
    bool is_empty() const;
  };
  std::filesystem::path path_of(uint64_t client) const;
  Result<Kept> read(const std::filesystem::path& path) const;
  Status write(const std::filesystem::path& path, const Kept& kept) const;

  std::filesystem::path folder_;  // of this run; empty: memory alone
  std::string run_;               // which run it is: a SHA-256
  std::map<uint64_t, Kept> clients_;
};

// The run is over: nothing is kept of it.
void remove_states(const std::filesystem::path& folder, RunId run);
// Removes what runs left that were not heard of for so long: they ended while this node was away.
void prune_states(const std::filesystem::path& folder, std::chrono::hours age);

}  // namespace umbel::supernode
