// A device of a federation in C11 with nothing but OpenSSL: umbel.v1 as docs/protocol.md has it.
// It connects, proves who it is and waits; selected, it gets a message with a small model, trains
// that on its own data (put your own work into train()) and replies.
//   gcc -std=c11 -o device device.c -lssl -lcrypto
//   ./device HOST:PORT authority.pem device.key      "none" for a hub without TLS
// authority.pem is STATE/tls/authority.pem of the hub.  The first start makes the device's key.
#define _POSIX_C_SOURCE 200809L
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

enum { kPoints = 32, kFrameMax = 1 << 20 };
typedef struct { const uint8_t *at; size_t size; uint64_t number; uint32_t tag; } Field;
typedef struct { size_t size; uint8_t at[kFrameMax]; } Buffer;
static EVP_PKEY *key;
static uint8_t public_key[32];
static BIO *line;  // to the hub
// --- What this device does: a step of least squares on its own points of y = 2 a - b + 1/2 -------
static void train(float w[3]) {
  uint32_t s = public_key[0] | 256u;  // another device has other points
  double gradient[3] = {0}, x[3] = {0, 0, 1};
  for (int i = 0; i < kPoints; ++i) {
    for (int j = 0; j < 2; ++j) x[j] = ((s = s * 1664525u + 1013904223u) >> 8) / 4194304.0 - 2;
    double error = (w[0] - 2) * x[0] + (w[1] + 1) * x[1] + w[2] - 0.5;
    for (int j = 0; j < 3; ++j) gradient[j] += 2 * error * x[j] / kPoints;
  }
  for (int j = 0; j < 3; ++j) w[j] -= (float)(0.2 * gradient[j]);
}
// --- Protobuf: fields are read where they lie and written one after another ----------------------
static int take(Field *rest, uint64_t *value) {  // a varint
  int more = 128, shift = 0;
  for (*value = 0; more && rest->size && shift < 64; shift += 7, ++rest->at, --rest->size)
    *value |= (uint64_t)(*rest->at & 127) << shift, more = *rest->at & 128;
  return !more;
}
static Field next(Field *rest) {  // takes the first field of what is left; tag 0: there is none
  uint64_t tag;
  Field found = {0};
  if (!take(rest, &tag) || (!(tag & 1) && !take(rest, &found.number))) return found;
  found.size = tag & 1 ? (tag & 4 ? 4 : 8) : tag & 2 ? found.number : 0;
  if (found.size > rest->size) return (Field){0};
  found.at = rest->at, rest->at += found.size, rest->size -= found.size;
  return found.tag = (uint32_t)tag, found;
}
static Field get(Field message, uint32_t field) {  // the last one of that number; tag 0: none
  Field last = {0};
  for (Field one; (one = next(&message)).tag;)
    if (one.tag >> 3 == field) last = one;
  return last;
}
static void put(Buffer *out, const void *data, size_t size) {
  if (size > kFrameMax - out->size) abort();
  if (size) memcpy(out->at + out->size, data, size), out->size += size;
}
static void put_varint(Buffer *out, uint64_t value) {
  for (; value > 127; value >>= 7) put(out, &(uint8_t){(uint8_t)(value | 128)}, 1);
  put(out, &(uint8_t){(uint8_t)value}, 1);
}
static void put_number(Buffer *out, uint32_t field, uint64_t value) {
  put_varint(out, field << 3), put_varint(out, value);
}
static void put_bytes(Buffer *out, uint32_t field, const void *data, size_t size) {
  put_varint(out, field << 3 | 2), put_varint(out, size), put(out, data, size);
}
static void wrap(Buffer *out, size_t from, uint32_t field) {  // what was put since is a message now
  static Buffer inner;
  inner.size = 0, put(&inner, out->at + from, out->size - from);
  out->size = from, put_bytes(out, field, inner.at, inner.size);
}
// --- The connection: TCP, TLS, WebSocket ---------------------------------------------------------
static int move(void *data, size_t size, int sending) {  // all of it, or 0: the connection is gone
  for (char *at = data; size;) {
    int moved = sending ? BIO_write(line, at, (int)size) : BIO_read(line, at, (int)size);
    if (moved <= 0) return 0;
    at += moved, size -= (size_t)moved;
  }
  return 1;
}
static int dial(const char *address, const char *authority, uint8_t certificate[32]) {
  struct timeval patience = {90, 0};  // the hub pings every 30 s
  line = BIO_new_connect(address), memset(certificate, 0, 32);
  if (!line || BIO_do_connect(line) != 1) return 0;
  setsockopt((int)BIO_get_fd(line, NULL), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (strcmp(authority, "none") == 0) return 1;
  const char *host = BIO_get_conn_hostname(line);
  SSL_CTX *context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL), SSL_CTX_load_verify_file(context, authority);
  SSL *tls = NULL;
  line = BIO_push(BIO_new_ssl(context, 1), line), SSL_CTX_free(context);
  BIO_get_ssl(line, &tls), SSL_set1_host(tls, host);
  return BIO_do_handshake(line) == 1 &&
         X509_digest(SSL_get0_peer_certificate(tls), EVP_sha256(), certificate, NULL);
}
static int upgrade(const char *host) {
  char name[32], text[512], proof[32], head[4096] = "";
  uint8_t random[16], digest[20];
  RAND_bytes(random, 16), EVP_EncodeBlock((uint8_t *)name, random, 16);
  snprintf(text, sizeof text, "GET /v1/fleet HTTP/1.1\r\nHost: %.200s\r\nUpgrade: websocket\r\n"
           "Connection: Upgrade\r\nSec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n"
           "Sec-WebSocket-Protocol: umbel.v1\r\n\r\n", host, name);
  if (!move(text, strlen(text), 1)) return 0;
  for (size_t at = 0; !strstr(head, "\r\n\r\n"); ++at)
    if (at + 2 > sizeof head || !move(head + at, 1, 0)) return 0;
  snprintf(text, sizeof text, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", name);
  EVP_Digest(text, strlen(text), digest, NULL, EVP_sha1(), NULL);
  EVP_EncodeBlock((uint8_t *)proof, digest, 20);
  return strncmp(head, "HTTP/1.1 101", 12) == 0 && strstr(head, proof) && strstr(head, "umbel.v1");
}
static int send_frame(Buffer *frame, uint8_t kind) {
  size_t size = frame->size, head_size = size < 126 ? 2 : 4;
  uint8_t head[8] = {0x80 | kind, 0x80 | (size < 126 ? size : 126), size >> 8, size & 255};
  RAND_bytes(head + head_size, 4);  // the mask
  for (size_t i = 0; i < size; ++i) frame->at[i] ^= head[head_size + i % 4];
  return size < 65536 && move(head, head_size + 4, 1) && move(frame->at, size, 1);
}
static int receive(Buffer *message) {  // the next message, pings answered; 0: the session is over
  static Buffer control;
  for (message->size = 0;;) {
    uint8_t head[10] = {0};
    if (!move(head, 2, 0)) return 0;
    int wide = head[1] == 126 ? 2 : head[1] == 127 ? 8 : 0, kind = head[0] & 15;
    uint64_t size = wide ? 0 : head[1];
    if (!move(head + 2, (size_t)wide, 0)) return 0;
    for (int i = 0; i < wide; ++i) size = size << 8 | head[2 + i];
    Buffer *into = kind < 8 ? message : (control.size = 0, &control);
    if (size > kFrameMax - into->size || !move(into->at + into->size, size, 0)) return 0;
    into->size += size;
    if (kind == 8 || (kind == 9 && !send_frame(&control, 10))) return 0;
    if (kind < 8 && head[0] & 0x80) return 1;
  }
}
// --- The session: a message loop -----------------------------------------------------------------
static int answer(Field assign, Buffer *out) {
  Field envelope = get(assign, 3), header = get(envelope, 1), content = get(envelope, 2);
  Field type = get(header, 6), here = get(get(content, 2), 3), arrays = {0};
  float w[3];
  for (Field one, rest = content; (one = next(&rest)).tag;)
    if (one.tag >> 3 == 1 && get(one, 2).tag) arrays = one;  // the model's record
  out->size = 0, put_number(out, 1, get(assign, 1).number), wrap(out, 0, 3);
  if (!send_frame(out, 2)) return 0;  // Accept
  out->size = 0, put_number(out, 1, get(assign, 1).number);
  size_t reply = out->size;
  static const uint8_t from[] = {0, 1, 0, 2, 5, 4, 0, 7};  // where the reply's header has it from
  for (uint32_t i = 1; i < 8; ++i)
    if (from[i]) put_number(out, i, get(header, from[i]).number);
  put_bytes(out, 6, type.at, type.size), wrap(out, reply, 1);
  size_t body = out->size, part = body;
  if (type.size == 5 && memcmp(type.at, "train", 5) == 0 && arrays.tag && here.size == sizeof w) {
    memcpy(w, here.at, sizeof w), train(w);
    put_number(out, 1, sizeof w), put_bytes(out, 3, w, sizeof w), wrap(out, part, 2);  // the blob
    put_bytes(out, 1, arrays.at, arrays.size), part = out->size;  // names and shapes as they came
    put_number(out, 2, 2 * kPoints), wrap(out, part, 2);          // an integer, in zigzag
    put_bytes(out, 1, "num-examples", 12), wrap(out, part, 1), wrap(out, part, 3);
    put_bytes(out, 1, "metrics", 7), wrap(out, part, 1), wrap(out, body, 2);
  } else
    put_bytes(out, 1, "client-failed", 13), put_bytes(out, 2, "unknown", 7), wrap(out, body, 3);
  wrap(out, reply, 2), wrap(out, 0, 4);
  printf("answered round %d\n", (int)get(header, 7).number);
  return send_frame(out, 2);
}
static void converse(const uint8_t certificate[32]) {
  static Buffer in, out;
  uint8_t text[117] = "umbel.v1 node session", *nonce = text + 53, signature[64];
  RAND_bytes(nonce, 32), memcpy(text + 85, certificate, 32);
  out.size = 0, put_number(&out, 1, 1), put_bytes(&out, 3, public_key, 32);
  put_bytes(&out, 4, nonce, 32), put_bytes(&out, 6, "C device", 8), wrap(&out, 0, 1);  // Hello
  for (int good = send_frame(&out, 2); good && receive(&in);) {
    Field frame = {in.at, in.size, 0, 0}, one = next(&frame), word = get(one, 3);
    if (one.tag >> 3 == 1 && word.size == 32 && get(one, 1).number == 1) {  // Challenge
      EVP_MD_CTX *context = EVP_MD_CTX_new();
      memcpy(text + 21, word.at, 32), EVP_DigestSignInit(context, NULL, NULL, NULL, key);
      EVP_DigestSign(context, signature, &(size_t){64}, text, 117), EVP_MD_CTX_free(context);
      out.size = 0, put_bytes(&out, 1, signature, 64), wrap(&out, 0, 2), good = send_frame(&out, 2);
    } else if (one.tag >> 3 == 2 || one.tag >> 3 == 3) {  // Welcome, Refusal
      word = get(one, 2), fputs(one.tag >> 3 == 2 ? "joined as " : "refused: ", stdout);
      printf("%.*s\n", (int)word.size, (const char *)word.at);
    } else if (one.tag >> 3 == 4)
      good = answer(one, &out);  // Assign
  }
}
int main(int count, char **words) {
  if (count != 4) return fprintf(stderr, "usage: %s HOST:PORT AUTHORITY|none KEY\n", words[0]), 2;
  uint8_t seed[32], certificate[32];
  umask(077), signal(SIGPIPE, SIG_IGN), setvbuf(stdout, NULL, _IOLBF, 0);
  FILE *file = fopen(words[3], "rb");
  if (!file && (file = fopen(words[3], "w+bx")))
    RAND_bytes(seed, 32), fwrite(seed, 1, 32, file), rewind(file);
  if (!file || fread(seed, 1, 32, file) != 32 || fclose(file)) return perror(words[3]), 1;
  key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, 32);
  EVP_PKEY_get_raw_public_key(key, public_key, &(size_t){32});
  for (int i = 0; i < 32; ++i)
    printf("%s%02x%s", i ? "" : "its key is ed25519:", public_key[i], i < 31 ? "" : "\n");
  for (time_t start = time(NULL);; BIO_free_all(line), sleep(time(NULL) - start < 60 ? 2 : 30))
    if (dial(words[1], words[2], certificate) && upgrade(words[1])) converse(certificate);
}
