#include "umbel/data/generate.h"
#include "umbel/data/generate_options.h"

namespace umbel::data {

namespace {

// The symbol that follows a context: a favourite of the table, or any.
uint64_t next_symbol(uint64_t table, uint64_t context, uint64_t alphabet, Rng& rng) {
  const uint64_t sixteenth = rng.below(16);
  if (sixteenth == 15) return rng.below(alphabet);
  const int favourite = sixteenth < 8 ? 0 : sixteenth < 12 ? 1 : sixteenth < 14 ? 2 : 3;
  Rng favourites(derive_seed(table, {static_cast<uint64_t>(Stream::kContext), context}));
  for (int i = 0; i != favourite; ++i) favourites.below(alphabet);
  return favourites.below(alphabet);
}

class Speaker {
 public:
  Speaker(const MarkovTextOptions& options, uint64_t client)
      : options_(options),
        own_(derive_seed(options.seed, {static_cast<uint64_t>(Stream::kOwn), client})) {}

  uint64_t next(uint64_t before, uint64_t last, Rng& rng) const {
    const uint64_t context = before * options_.alphabet + last;
    const bool own = Rng(derive_seed(own_, {context})).uniform() < options_.own;
    return next_symbol(own ? own_ : options_.seed, context, options_.alphabet, rng);
  }

 private:
  const MarkovTextOptions& options_;
  uint64_t own_;
};

}  // namespace

Result<Dataset> markov_text(const MarkovTextOptions& options) {
  OptionCheck check("markov_text");
  check.within("length", options.length, 2, 65536);
  check.size(options.examples, options.length, options.clients);
  check.within("alphabet", options.alphabet, 2, 256);
  check.real("own", options.own, 1);
  UMBEL_RETURN_IF_ERROR(check.status());

  const auto n = static_cast<int64_t>(options.examples);
  Dataset out{
      .features = Array::uninitialized(DType::kUint8, {n, static_cast<int64_t>(options.length)}),
      .labels = Array::zeros(DType::kInt32, {n}),
      .classes = static_cast<int64_t>(options.alphabet),
      .name = "Markov text"};
  out.natural_ids = dealt_ids(options.examples, options.clients);
  const auto symbols = out.features.mutable_view<uint8_t>();
  const auto labels = out.labels.mutable_view<int32_t>();
  size_t place = 0;
  for (size_t i = 0; i != labels.size(); ++i) {
    const Speaker speaker(options, i % options.clients);
    Rng rng = stream(options.seed, Stream::kExample, i);
    uint64_t before = rng.below(options.alphabet);
    uint64_t last = rng.below(options.alphabet);
    for (uint64_t j = 0; j != options.length; ++j) {
      symbols[place++] = static_cast<uint8_t>(before);
      const uint64_t next = speaker.next(before, last, rng);
      before = last;
      last = next;
    }
    labels[i] = static_cast<int32_t>(before);
  }
  return out;
}

}  // namespace umbel::data
