/* A mod that an app loads while it runs: it holds each client's update to a norm.

     cc -std=c11 -O2 -shared -fPIC -I PATH/TO/include clip.c -o clip.so -lm
     client.mod(umbel::load_mod("./clip.so", "max-norm=1"));

   The update is what the client answers less what it got, over all float32 tensors; where its
   Euclidean norm is above max-norm it is scaled down to it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "umbel/app/mod_abi.h"

typedef struct {
  double max_norm;
} Clip;

static void* clip_open(const char* settings, char* reason, size_t reason_size) {
  Clip clip = {0};
  char rest = 0;
  if (sscanf(settings, "max-norm=%lf%c", &clip.max_norm, &rest) != 1 || !(clip.max_norm > 0)) {
    snprintf(reason, reason_size, "expected max-norm=NUMBER, above 0");
    return NULL;
  }
  Clip* instance = malloc(sizeof *instance);
  if (instance) *instance = clip;
  return instance;
}

/* The two tensors of this index, if they are of one kind that can be clipped. */
static int pair(const UmbelModHost* host, UmbelModCall* call, size_t i, UmbelModArray* before,
                UmbelModArray* after) {
  return host->array(call, UMBEL_MOD_MESSAGE, i, before) == 0 &&
         host->array(call, UMBEL_MOD_REPLY, i, after) == 0 &&
         strcmp(after->dtype, "float32") == 0 && strcmp(before->dtype, after->dtype) == 0 &&
         before->bytes == after->bytes;
}

static int clip_handle(void* instance, const UmbelModHost* host, UmbelModCall* call) {
  if (host->next(call) != 0 || strncmp(host->type(call), "train", 5) != 0) return 0;
  const Clip* clip = instance;
  const size_t arrays = host->arrays(call, UMBEL_MOD_REPLY);
  UmbelModArray before, after;
  double square = 0;
  for (size_t i = 0; i != arrays; ++i) {
    if (!pair(host, call, i, &before, &after)) continue;
    for (size_t j = 0; j != after.bytes / sizeof(float); ++j) {
      const double step = ((const float*)after.data)[j] - ((const float*)before.data)[j];
      square += step * step;
    }
  }
  const double norm = sqrt(square);
  host->set_metric(call, "update-norm", norm);
  if (norm <= clip->max_norm) return 0;
  const double scale = clip->max_norm / norm;
  for (size_t i = 0; i != arrays; ++i) {
    if (!pair(host, call, i, &before, &after)) continue;
    float* out = host->edit(call, UMBEL_MOD_REPLY, i);
    if (!out) return 1;
    for (size_t j = 0; j != after.bytes / sizeof(float); ++j) {
      const float from = ((const float*)before.data)[j];
      out[j] = (float)(from + scale * (out[j] - from));
    }
  }
  return 0;
}

static void clip_close(void* instance) { free(instance); }

const UmbelMod* umbel_mod_v1(void) {
  static const UmbelMod mod = {.size = sizeof(UmbelMod),
                               .abi = UMBEL_MOD_ABI,
                               .name = "clip",
                               .open = clip_open,
                               .handle = clip_handle,
                               .close = clip_close};
  return &mod;
}
