// A Cap'n Proto peer made with libcapnp, an implementation that we did not write: server, client and load generator.
// See README.md for its command line.

#include "cluster.h"
#include "load.h"
#include "network.h"
#include "scenarios.h"
#include "service.h"

#include <cstdlib>

static std::string fromHex(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

// Takes the options out of the arguments; returns the rest.
static std::vector<std::string> parse(int argc, char** argv, Options& options) {
  std::vector<std::string> positional;
  for (int i = 1; i < argc; i++) {
    std::string arg = argv[i];
    auto value = [&]() {
      KJ_REQUIRE(i + 1 < argc, "option without a value", arg.c_str());
      return std::string(argv[++i]);
    };
    if (arg == "--tls") {
      options.tlsKey = value();
      options.tlsCertificate = value();
      options.tlsTrusted = value();
    } else if (arg == "--id") {
      options.id = fromHex(value());
    } else if (arg == "--relay") {
      options.relay = value();
    } else if (arg == "--calls") {
      options.calls = std::stoull(value());
    } else if (arg == "--bytes") {
      options.bytes = std::stoul(value());
    } else if (arg == "--window") {
      options.window = std::stoul(value());
    } else {
      positional.push_back(arg);
    }
  }
  return positional;
}

int main(int argc, char** argv) {
  Options options;
  auto arguments = parse(argc, argv, options);
  if (arguments.size() < 2) {
    fprintf(stderr, "usage: peer serve ADDRESS | run SCENARIO ADDRESS | load METHOD ADDRESS |\n"
                    "       worker NAME ADDRESS | client POOL ADDRESS [OPTIONS]\n");
    return 2;
  }
  const auto& command = arguments[0];
  auto io = kj::setupAsyncIo();
  auto& wait = io.waitScope;
  Network network(*io.provider, options);
  World world;

  if (command == "serve") {
    if (options.relay.empty()) {
      Server(network, kj::heap<PeerImpl>(world), options.id).run(arguments[1], wait);
    } else {
      Conversation beyond(network.connect(options.relay, wait));
      Server(network, beyond.service(""), options.id).run(arguments[1], wait);
    }
  }

  KJ_REQUIRE(arguments.size() == 3, "expected three arguments");
  const auto& what = arguments[1];
  Conversation conversation(network.connect(arguments[2], wait));
  if (command == "worker") {
    Lines lines(io.lowLevelProvider->wrapInputFd(0));
    beOldWorker(conversation.service(options.id).castAs<Registration>(), what, kj::mv(lines), wait);
    return 0;
  }
  if (command == "client") {
    beOldClient(conversation.service(options.id).castAs<Submission>(), what, wait);
    return 0;
  }
  auto peer = conversation.service(options.id).castAs<Peer>();
  if (command == "run") {
    auto found = allScenarios().find(what);
    KJ_REQUIRE(found != allScenarios().end(), "no such scenario", what.c_str());
    Stage stage{conversation, kj::mv(peer), world, wait};
    found->second(stage);
  } else if (command == "load") {
    KJ_REQUIRE(what == "echo" || what == "sink" || what == "source", "no such method", what.c_str());
    Load(kj::mv(peer), what, options).run(wait);
  } else {
    KJ_FAIL_REQUIRE("no such command", command.c_str());
  }
  return 0;
}
