// Tells ThreadSanitizer about absl::Mutex and absl::CondVar.  Debian's abseil is built without it,
// so the order that they give would be invisible and every guarded variable would look like a race.
// Linked into the tests of a ThreadSanitizer build only: these definitions come before the shared
// library's, which they find by dlsym and call.
//
// Conditions are evaluated inside the library, by whichever thread holds the mutex; their reads are
// left out, because that order is invisible too.
#include <absl/synchronization/mutex.h>
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>

extern "C" {
void __tsan_acquire(void* address);
void __tsan_release(void* address);
void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);

// A Mutex that goes is taken out of the library's graph for finding deadlocks, which a spin lock
// inside the library guards.
const char* __tsan_default_suppressions() { return "race:absl::*GraphCycles\n"; }
}

namespace {

void* find(const char* name) {
  void* function = dlsym(RTLD_NEXT, name);
  if (function == nullptr) {
    std::fprintf(stderr, "tsan_abseil.cc: no %s in the shared abseil\n", name);
    std::abort();
  }
  return function;
}

// Calls the library's member function `name` of `object`.
template <class R, class... Args>
R call(void* function, void* object, Args... args) {
  struct Ignore {
    Ignore() { AnnotateIgnoreReadsBegin(__FILE__, __LINE__); }
    ~Ignore() { AnnotateIgnoreReadsEnd(__FILE__, __LINE__); }
  } ignore;
  return reinterpret_cast<R (*)(void*, Args...)>(function)(object, args...);
}

}  // namespace

#define UMBEL_REAL(name)                                     \
  ([]() -> void* {                                           \
    static void* const real = find("_ZN4absl7debian3" name); \
    return real;                                             \
  }())

namespace absl {
ABSL_NAMESPACE_BEGIN

void Mutex::Lock() {
  call<void>(UMBEL_REAL("5Mutex4LockEv"), this);
  __tsan_acquire(this);
}
void Mutex::Unlock() {
  __tsan_release(this);
  call<void>(UMBEL_REAL("5Mutex6UnlockEv"), this);
}
bool Mutex::TryLock() {
  const bool locked = call<bool>(UMBEL_REAL("5Mutex7TryLockEv"), this);
  if (locked) __tsan_acquire(this);
  return locked;
}
void Mutex::ReaderLock() {
  call<void>(UMBEL_REAL("5Mutex10ReaderLockEv"), this);
  __tsan_acquire(this);
}
void Mutex::ReaderUnlock() {
  __tsan_release(this);
  call<void>(UMBEL_REAL("5Mutex12ReaderUnlockEv"), this);
}
void Mutex::Await(const Condition& condition) {
  __tsan_release(this);
  call<void, const Condition&>(UMBEL_REAL("5Mutex5AwaitERKNS0_9ConditionE"), this, condition);
  __tsan_acquire(this);
}
bool Mutex::AwaitWithTimeout(const Condition& condition, Duration timeout) {
  __tsan_release(this);
  const bool met = call<bool, const Condition&, Duration>(
      UMBEL_REAL("5Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE"), this, condition,
      timeout);
  __tsan_acquire(this);
  return met;
}
bool Mutex::AwaitWithDeadline(const Condition& condition, Time deadline) {
  __tsan_release(this);
  const bool met = call<bool, const Condition&, Time>(
      UMBEL_REAL("5Mutex17AwaitWithDeadlineERKNS0_9ConditionENS0_4TimeE"), this, condition,
      deadline);
  __tsan_acquire(this);
  return met;
}
void CondVar::Wait(Mutex* mutex) {
  __tsan_release(mutex);
  call<void, Mutex*>(UMBEL_REAL("7CondVar4WaitEPNS0_5MutexE"), this, mutex);
  __tsan_acquire(mutex);
}
bool CondVar::WaitWithTimeout(Mutex* mutex, Duration timeout) {
  __tsan_release(mutex);
  const bool expired = call<bool, Mutex*, Duration>(
      UMBEL_REAL("7CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE"), this, mutex, timeout);
  __tsan_acquire(mutex);
  return expired;
}
bool CondVar::WaitWithDeadline(Mutex* mutex, Time deadline) {
  __tsan_release(mutex);
  const bool expired = call<bool, Mutex*, Time>(
      UMBEL_REAL("7CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE"), this, mutex, deadline);
  __tsan_acquire(mutex);
  return expired;
}

ABSL_NAMESPACE_END
}  // namespace absl
