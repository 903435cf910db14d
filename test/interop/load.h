// Load for benchmarks: calls of a Peer's echo, sink or source, some number of them outstanding at any time.
#pragma once

#include "service.h"

#include <chrono>

class Load {
public:
  Load(Peer::Client peer, const std::string& method, const Options& options)
      : peer(kj::mv(peer)), method(method), options(options) {}

  // Prints one line of JSON.
  void run(kj::WaitScope& waitScope) {
    auto start = std::chrono::steady_clock::now();
    kj::Vector<kj::Promise<void>> lanes;
    for (uint32_t i = 0; i < options.window; i++) lanes.add(lane());
    kj::joinPromises(lanes.releaseAsArray()).wait(waitScope);
    std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    double seconds = elapsed.count();
    printf("{\"method\":\"%s\",\"window\":%u,\"bytes\":%u,\"calls\":%llu,\"seconds\":%.6f,"
           "\"callsPerSecond\":%.1f,\"megabytesPerSecond\":%.2f}\n",
           method.c_str(), options.window, options.bytes, static_cast<unsigned long long>(options.calls), seconds,
           options.calls / seconds, options.calls * double(options.bytes) / 1e6 / seconds);
  }

private:
  Peer::Client peer;
  std::string method;
  const Options& options;
  uint64_t started = 0;

  // One call after the other until all are made.
  kj::Promise<void> lane() {
    if (started == options.calls) return kj::READY_NOW;
    started++;
    return call().then([this]() { return lane(); });
  }

  kj::Promise<void> call() {
    capnp::MessageSize size{options.bytes / 8 + 16, 0};
    if (method == "echo") {
      auto request = peer.echoRequest(size);
      memset(request.initData(options.bytes).begin(), 'x', options.bytes);
      return request.send().then([this](auto response) { check(response.getData().size()); });
    } else if (method == "sink") {
      auto request = peer.sinkRequest(size);
      memset(request.initData(options.bytes).begin(), 'x', options.bytes);
      return request.send().then([this](auto response) { check(response.getSize()); });
    } else {
      auto request = peer.sourceRequest();
      request.setSize(options.bytes);
      return request.send().then([this](auto response) { check(response.getData().size()); });
    }
  }

  void check(uint64_t bytes) { KJ_REQUIRE(bytes == options.bytes, "wrong size", bytes); }
};
