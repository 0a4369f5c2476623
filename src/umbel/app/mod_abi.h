#pragma once

/* The interface between an app and a mod that is loaded while it runs (app/load_mod.h).  Plain C,
   so that a mod may be built by another compiler, in another language, and for an earlier or later
   version of this library: what is here stays as it is, and what is added comes at the ends.

   A mod is a shared library that exports

     const UmbelMod* umbel_mod_v1(void);

   whose result lives as long as the library is loaded.  It depends on no library of ours. */

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define UMBEL_MOD_ABI 1
#define UMBEL_MOD_SYMBOL "umbel_mod_v1"

/* One message at one client, on its way through the mod; lives as long as the call of handle(). */
typedef struct UmbelModCall UmbelModCall;

/* Which of the two is meant: what the client got, or what it answers. */
typedef enum { UMBEL_MOD_MESSAGE = 0, UMBEL_MOD_REPLY = 1 } UmbelModSide;

/* A tensor as it lies in memory: row-major, little-endian.  All of it is the host's. */
typedef struct {
  const char* name;
  const char* dtype; /* NumPy's name: "float32" */
  const int64_t* shape;
  size_t rank;
  const void* data;
  size_t bytes;
} UmbelModArray;

/* What the host does for a mod.  Functions that return int say 0 for yes.  A mod calls only those
   that lie within `size`. */
typedef struct {
  size_t size;  /* of this struct, in bytes, as the host knows it */
  uint32_t abi; /* UMBEL_MOD_ABI of the host */

  const char* (*type)(const UmbelModCall*); /* "train", "evaluate", ... */
  uint64_t (*round)(const UmbelModCall*);   /* from 1; 0 outside rounds */
  uint64_t (*seed)(const UmbelModCall*);    /* the call's own, for draws that are the same again */

  /* Lets the rest happen: the mods behind this one, and the client's action.  At most once; the
     reply is there then.  Not 0: there is none, and handle() should return; the client's own error
     becomes the reply. */
  int (*next)(UmbelModCall*);

  /* The tensors of the first record that has any. */
  size_t (*arrays)(const UmbelModCall*, UmbelModSide);
  int (*array)(const UmbelModCall*, UmbelModSide, size_t index, UmbelModArray* out);
  /* Its bytes to write to, copied first where others share them; NULL if there is no such tensor,
     or for the message after next(). */
  void* (*edit)(UmbelModCall*, UmbelModSide, size_t index);

  /* A number of the first record of metrics (of the config, for the message), and setting one. */
  int (*number)(const UmbelModCall*, UmbelModSide, const char* name, double* out);
  int (*set_metric)(UmbelModCall*, const char* name, double value); /* of the reply */

  /* Makes the reply an error with this reason, whatever handle() returns. */
  void (*fail)(UmbelModCall*, const char* reason);
} UmbelModHost;

typedef struct {
  size_t size;      /* of this struct, in bytes, as the mod knows it */
  uint32_t abi;     /* UMBEL_MOD_ABI that it was written for */
  const char* name; /* for people */

  /* An instance with these settings (text of the mod's own form); NULL, and a reason of less than
     `reason_size` bytes, if they make no sense. */
  void* (*open)(const char* settings, char* reason, size_t reason_size);
  /* One message.  From many threads at once, for distinct clients.  Not 0: the client's reply is an
     error.  If it never called next(), there is no reply either. */
  int (*handle)(void* instance, const UmbelModHost* host, UmbelModCall* call);
  void (*close)(void* instance);
} UmbelMod;

#ifdef __cplusplus
} /* extern "C" */
#endif
