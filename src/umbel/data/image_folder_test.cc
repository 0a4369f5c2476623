#include "umbel/data/image_folder.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <vector>

#include "umbel/data/temporary_folder_test.h"

namespace umbel::data {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

class ImageFolder : public TemporaryFolder {
 protected:
  std::string error(const ImageFolderOptions& options = {}) {
    return message_of(load_image_folder(folder_, options).status());
  }
};

TEST_F(ImageFolder, ClassesAndImagesComeInTheOrderOfTheirNames) {
  write("dog/2.pgm", "P5 2 1 255 cd");
  write("dog/10.pgm", "P5 2 1 255 ab");
  write("cat/1.pgm", "P5 2 1 255 ef");
  write(".hidden/x", "not an image");
  fs::create_directories(folder_ / "bird");
  const Dataset dataset = image_folder(folder_.string() + "/");
  EXPECT_EQ(dataset.features.describe(), "uint8[3,1,2]");
  EXPECT_THAT(dataset.features.view<uint8_t>(), ElementsAre('e', 'f', 'a', 'b', 'c', 'd'));
  EXPECT_THAT(dataset.class_names, ElementsAre("bird", "cat", "dog"));
  EXPECT_THAT(dataset.labels.view<int32_t>(), ElementsAre(1, 2, 2));
  EXPECT_EQ(dataset.name, folder_.filename().string());
  EXPECT_EQ(dataset.natural_ids.size(), 0);
}

TEST_F(ImageFolder, SitesAreNaturalIdsAndShareTheirClasses) {
  write("north/sick/1.pgm", "P5 1 1 255 a");
  write("south/healthy/1.pgm", "P5 1 1 255 b");
  write("south/sick/1.pgm", "P5 1 1 255 c");
  const Dataset dataset = image_folder(folder_, {.by_site = true});
  EXPECT_THAT(dataset.class_names, ElementsAre("healthy", "sick"));
  EXPECT_THAT(dataset.labels.view<int32_t>(), ElementsAre(1, 0, 1));
  EXPECT_THAT(dataset.natural_ids.view<int32_t>(), ElementsAre(0, 1, 1));
  EXPECT_THAT(dataset.natural_names, ElementsAre("north", "south"));
}

TEST_F(ImageFolder, OtherSizesAreNamedOrResized) {
  write("a/1.pgm", "P5 2 1 255 ab");
  write("a/2.pgm", std::string_view("P5 4 1 255 \0\2\4\6", 15));
  EXPECT_EQ(error(), (folder_ / "a/2.pgm").string() +
                         ": 4 x 1 pixels, expected 2 x 1; resize makes them alike");
  const Dataset dataset = image_folder(folder_, {.resize = true});
  EXPECT_THAT(dataset.features.view<uint8_t>(), ElementsAre('a', 'b', 1, 5));
  EXPECT_THAT(error({.height = 3, .width = 3}), HasSubstr("expected 3 x 3"));
  EXPECT_EQ(image_folder(folder_, {.height = 3, .width = 5, .resize = true}).features.describe(),
            "uint8[2,3,5]");
  EXPECT_THAT(error({.height = 3}), HasSubstr("height and width are 3 and 0"));
}

TEST_F(ImageFolder, OtherChannelsAreNamedOrConverted) {
  write("a/1.pgm", "P5 1 1 255 a");
  write("a/2.ppm", "P6 1 1 255 bbb");
  EXPECT_THAT(error(), HasSubstr("2.ppm: 3 channels, the images before have 1"));
  EXPECT_EQ(image_folder(folder_, {.channels = 1}).features.describe(), "uint8[2,1,1]");
  EXPECT_EQ(image_folder(folder_, {.channels = 3}).features.describe(), "uint8[2,1,1,3]");
  EXPECT_THAT(error({.channels = 2}), HasSubstr("option channels is 2"));
}

TEST_F(ImageFolder, WhatIsNoImageIsNamed) {
  EXPECT_THAT(error(), HasSubstr("no images, expected CLASS/IMAGE"));
  write("a/1.pgm", "P5 1 1 255 a");
  write("a/2.pgm", "P5 1 1 255 ");
  EXPECT_THAT(error(), HasSubstr((folder_ / "a/2.pgm").string()));
  write("a/2.pgm", "");
  EXPECT_THAT(error(), HasSubstr("2.pgm: the file is empty"));
  write("a/2.pgm", "hello");
  EXPECT_THAT(error(), HasSubstr("2.pgm: not an image of a known format"));
  fs::remove(folder_ / "a/2.pgm");
  write("readme.txt", "hello");
  EXPECT_THAT(error(), HasSubstr("readme.txt: a file, expected a folder for each class or site; "
                                 "move it out of " +
                                 folder_.string()));
  fs::remove(folder_ / "readme.txt");
  write("a/b/1.pgm", "P5 1 1 255 a");
  EXPECT_THAT(error(), HasSubstr("a/b: a folder, expected images of one class; if folders are "
                                 "SITE/CLASS/IMAGE, say --by-site"));
  EXPECT_THAT(error({.by_site = true}), HasSubstr("a/1.pgm: a file, expected a folder for each"));
}

TEST_F(ImageFolder, PipesAndLinksThatLeadNowhereAreNamed) {
  write("a/1.pgm", "P5 1 1 255 a");
  ASSERT_EQ(::mkfifo((folder_ / "a/pipe").c_str(), 0600), 0);
  EXPECT_THAT(error(), HasSubstr("a/pipe: neither a file nor a folder"));
  fs::remove(folder_ / "a/pipe");
  fs::create_symlink("loop", folder_ / "a/loop");
  EXPECT_THAT(error(), HasSubstr("a/loop: a link that leads nowhere"));
  fs::remove(folder_ / "a/loop");
  fs::create_symlink("..", folder_ / "a/up");
  EXPECT_THAT(error(), HasSubstr("a/up: a folder, expected images"));
}

}  // namespace
}  // namespace umbel::data
