#include <csetjmp>
#include <cstdio>

#include <jpeglib.h>

#include <jerror.h>

#include "umbel/data/image_decoders.h"

namespace umbel::data {

namespace {

constexpr int kScansMax = 100;  // of a progressive file: each costs a pass over all pixels

// What the library calls on errors.  It does not expect to be returned to, and is C: a jump leaves
// it.  Nothing between the jump and its target has a destructor.
struct Decoder {
  jpeg_decompress_struct jpeg{};
  jpeg_error_mgr errors{};
  jpeg_progress_mgr progress{};
  std::jmp_buf failed{};
  char message[JMSG_LENGTH_MAX] = "";
  bool open = false;
};

Decoder& decoder_of(j_common_ptr jpeg) { return *static_cast<Decoder*>(jpeg->client_data); }

[[noreturn]] void fail(j_common_ptr jpeg) {
  Decoder& decoder = decoder_of(jpeg);
  jpeg->err->format_message(jpeg, decoder.message);
  std::longjmp(decoder.failed, 1);
}

// Warnings (level -1) are guesses at what is missing: as good as errors, but for these.
void on_message(j_common_ptr jpeg, int level) {
  if (level != -1) return;
  const int code = jpeg->err->msg_code;
  if (code == JWRN_EXTRANEOUS_DATA || code == JWRN_ADOBE_XFORM || code == JWRN_JFIF_MAJOR) return;
  fail(jpeg);
}

void on_progress(j_common_ptr jpeg) {
  if (!jpeg->is_decompressor) return;
  if (reinterpret_cast<j_decompress_ptr>(jpeg)->input_scan_number <= kScansMax) return;
  Decoder& decoder = decoder_of(jpeg);
  std::snprintf(decoder.message, sizeof decoder.message, "more than the limit of %d scans",
                kScansMax);
  std::longjmp(decoder.failed, 1);
}

// Reads the header; false, with a message, if it is damaged.
bool begin(Decoder& decoder, std::span<const std::byte> bytes) {
  decoder.jpeg.err = jpeg_std_error(&decoder.errors);
  decoder.jpeg.client_data = &decoder;
  decoder.errors.error_exit = fail;
  decoder.errors.emit_message = on_message;
  decoder.progress.progress_monitor = on_progress;
  if (setjmp(decoder.failed)) return false;  // NOLINT: see Decoder
  jpeg_create_decompress(&decoder.jpeg);
  decoder.open = true;
  decoder.jpeg.client_data = &decoder;
  decoder.jpeg.progress = &decoder.progress;
  jpeg_mem_src(&decoder.jpeg, reinterpret_cast<const unsigned char*>(bytes.data()),
               static_cast<unsigned long>(bytes.size()));
  jpeg_read_header(&decoder.jpeg, TRUE);
  return true;
}

// Decodes into rows of `row` bytes; false, with a message, if the file is damaged.
bool finish(Decoder& decoder, unsigned char* out, size_t row) {
  if (setjmp(decoder.failed)) return false;  // NOLINT: see Decoder
  decoder.jpeg.dct_method = JDCT_ISLOW;      // the same bits on every machine
  jpeg_start_decompress(&decoder.jpeg);
  while (decoder.jpeg.output_scanline < decoder.jpeg.output_height) {
    JSAMPROW rows[1] = {out + row * decoder.jpeg.output_scanline};
    jpeg_read_scanlines(&decoder.jpeg, rows, 1);
  }
  jpeg_finish_decompress(&decoder.jpeg);
  return true;
}

class Closed {
 public:
  explicit Closed(Decoder& decoder) : decoder_(decoder) {}
  ~Closed() {
    if (decoder_.open) jpeg_destroy_decompress(&decoder_.jpeg);
  }

 private:
  Decoder& decoder_;
};

}  // namespace

Result<Array> decode_jpeg(std::span<const std::byte> bytes) {
  Decoder decoder;
  const Closed closed(decoder);
  if (!begin(decoder, bytes)) return data_loss("JPEG: {}", decoder.message);
  jpeg_decompress_struct& jpeg = decoder.jpeg;
  UMBEL_RETURN_IF_ERROR(check_image_size(jpeg.image_height, jpeg.image_width));
  if (jpeg.jpeg_color_space == JCS_CMYK || jpeg.jpeg_color_space == JCS_YCCK) {
    return invalid_argument("JPEG: four inks (CMYK); convert it to RGB");
  }
  const bool grey = jpeg.jpeg_color_space == JCS_GRAYSCALE;
  jpeg.out_color_space = grey ? JCS_GRAYSCALE : JCS_RGB;
  Shape shape{int64_t{jpeg.image_height}, int64_t{jpeg.image_width}};
  if (!grey) shape.push_back(3);
  Array image = Array::uninitialized(DType::kUint8, std::move(shape));
  const size_t row = size_t{jpeg.image_width} * (grey ? 1 : 3);
  if (!finish(decoder, image.mutable_view<uint8_t>().data(), row)) {
    return data_loss("JPEG: {}", decoder.message);
  }
  return image;
}

}  // namespace umbel::data
