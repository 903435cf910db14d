// What the C++ client checks of somebody else's Peer. Each scenario is a story of its own on a fresh connection; it ends
// quietly or throws.
#pragma once

#include "service.h"

#include <unistd.h>

#define CHECK(condition, ...) KJ_REQUIRE(condition, "CHECK failed", ##__VA_ARGS__)

struct Stage {
  Conversation& conversation;
  Peer::Client peer;
  World& world;  // of the objects that this side serves
  kj::WaitScope& wait;
};

inline kj::Exception failureOf(std::function<void()> action) {
  KJ_IF_MAYBE(exception, kj::runCatchingExceptions([&]() { action(); })) { return kj::mv(*exception); }
  KJ_FAIL_REQUIRE("should have failed");
}

inline bool contains(kj::StringPtr text, const char* part) { return strstr(text.cStr(), part) != nullptr; }

inline uint32_t countOn(Counter::Client counter, kj::WaitScope& wait) {
  return counter.nextRequest().send().wait(wait).getValue();
}

inline Counter::Client newCounter(Stage& s, uint32_t start) {
  auto request = s.peer.counterRequest();
  request.setStart(start);
  return request.send().getCounter();
}

inline void letGo(Stage& s, uint32_t key) {
  auto request = s.peer.letGoRequest();
  request.setKey(key);
  request.send().wait(s.wait);
}

inline kj::Promise<capnp::Response<Peer::HoldResults>> hold(Stage& s, uint32_t key) {
  auto request = s.peer.holdRequest();
  request.setKey(key);
  return request.send();
}

// Remembers the tags of the calls it gets, in their order.
class Recorder final : public Counter::Server {
public:
  explicit Recorder(std::vector<uint32_t>& tags) : tags(tags) {}

  kj::Promise<void> next(NextContext context) override {
    tags.push_back(context.getParams().getTag());
    context.getResults().setValue(tags.size());
    return kj::READY_NOW;
  }

private:
  std::vector<uint32_t>& tags;
};

// Calls with rising tags, kept until they are answered.
class Caller {
public:
  void call(Counter::Client target, int times) {
    for (int i = 0; i < times; i++) {
      auto request = target.nextRequest();
      request.setTag(tag++);
      answers.add(request.send().ignoreResult());
    }
  }

  void wait(kj::WaitScope& waitScope) { kj::joinPromises(answers.releaseAsArray()).wait(waitScope); }

private:
  uint32_t tag = 0;
  kj::Vector<kj::Promise<void>> answers;
};

inline void checkOrder(const std::vector<uint32_t>& tags, size_t count) {
  CHECK(tags.size() == count, tags.size());
  for (size_t i = 0; i < count; i++) CHECK(tags[i] == i, i, tags[i]);
}

class Doubler final : public Callback::Server {
  kj::Promise<void> call(CallContext context) override {
    context.getResults().setN(context.getParams().getN() * 2);
    return kj::READY_NOW;
  }
};

namespace scenarios {

void echo(Stage& s) {
  auto request = s.peer.echoRequest();
  request.setData(kj::StringPtr("hello").asBytes());
  CHECK(request.send().wait(s.wait).getData() == kj::StringPtr("hello").asBytes());
}

void unknownId(Stage& s) {
  auto exception = failureOf([&]() {
    s.conversation.service("no such id").castAs<Peer>().echoRequest().send().wait(s.wait);
  });
  CHECK(exception.getType() == kj::Exception::Type::FAILED);
  CHECK(contains(exception.getDescription(), "Unknown persistent service ID"), exception);
  echo(s);  // the connection is as good as before
}

void pipelining(Stage& s) {
  // All of it is on its way before the first answer arrives.
  auto counter = newCounter(s, 40);
  auto first = counter.nextRequest().send(), second = counter.nextRequest().send();
  CHECK(first.wait(s.wait).getValue() == 40);
  CHECK(second.wait(s.wait).getValue() == 41);
  CHECK(countOn(counter, s.wait) == 42);
}

void callbacks(Stage& s) {
  auto request = s.peer.repeatRequest();
  request.setCallback(kj::heap<Doubler>());
  request.setTimes(10);
  CHECK(request.send().wait(s.wait).getSum() == 90);
}

void cancel(Stage& s) {
  {
    auto dropped = s.peer.neverRequest().send();
    echo(s);  // so it has started
  }
  auto request = s.peer.cancellationsRequest();
  request.setAtLeast(1);
  CHECK(request.send().wait(s.wait).getCount() == 1);
}

void release(Stage& s) {
  {
    auto counter = newCounter(s, 7), other = newCounter(s, 8);
    CHECK(countOn(counter, s.wait) == 7);
    CHECK(countOn(other, s.wait) == 8);
    auto request = s.peer.countersRequest();
    request.setAtMost(2);
    CHECK(request.send().wait(s.wait).getLive() == 2);
  }
  CHECK(s.peer.countersRequest().send().wait(s.wait).getLive() == 0);
}

void bulk(Stage& s) {
  auto request = s.peer.echoRequest();
  auto data = request.initData(10'000'000);
  for (size_t i = 0; i < data.size(); i++) data[i] = i * 2654435761u >> 24;
  auto expected = kj::heapArray<kj::byte>(data.asReader());
  CHECK(request.send().wait(s.wait).getData() == expected);
}

void errors(Stage& s) {
  for (int kind = 0; kind < 4; kind++) {
    auto exception = failureOf([&]() {
      auto request = s.peer.failRequest();
      request.setKind(static_cast<ErrorKind>(kind));
      request.setReason("because");
      request.send().wait(s.wait);
    });
    CHECK(static_cast<int>(exception.getType()) == kind, kind, exception);
    CHECK(contains(exception.getDescription(), "because"), exception);
  }
  auto exception = failureOf([&]() { s.peer.castAs<Stranger>().greetRequest().send().wait(s.wait); });
  CHECK(exception.getType() == kj::Exception::Type::UNIMPLEMENTED, exception);
  echo(s);
}

void delayedReturns(Stage& s) {
  auto first = hold(s, 1), second = hold(s, 2), third = hold(s, 3);
  letGo(s, 3);
  CHECK(third.wait(s.wait).getKey() == 3);
  letGo(s, 1);
  CHECK(first.wait(s.wait).getKey() == 1);
  letGo(s, 2);
  CHECK(second.wait(s.wait).getKey() == 2);
}

void delayedPipeline(Stage& s) {
  auto request = s.peer.counterLaterRequest();
  request.setKey(1);
  request.setStart(100);
  auto counter = request.send().getCounter();
  kj::Vector<capnp::RemotePromise<Counter::NextResults>> answers;
  for (int i = 0; i < 5; i++) answers.add(counter.nextRequest().send());
  letGo(s, 1);
  for (int i = 0; i < 5; i++) answers.add(counter.nextRequest().send());
  for (uint32_t i = 0; i < 10; i++) CHECK(answers[i].wait(s.wait).getValue() == 100 + i);
}

// Calls made while the answer was out have to go through the peer; later ones could be delivered here at once, and must
// not overtake them.
void orderAcrossReturn(Stage& s) {
  std::vector<uint32_t> tags;
  Counter::Client mine = kj::heap<Recorder>(tags);
  auto request = s.peer.sameRequest();
  request.setCap(mine);
  auto answer = request.send();
  Counter::Client cap = answer.getCap();
  Caller caller;
  caller.call(cap, 20);
  answer.wait(s.wait);
  caller.call(cap, 20);
  caller.wait(s.wait);
  caller.call(cap, 20);
  caller.wait(s.wait);
  checkOrder(tags, 60);
}

// The same for a promise that resolves later.
void orderAcrossResolve(Stage& s) {
  std::vector<uint32_t> tags;
  Counter::Client mine = kj::heap<Recorder>(tags);
  auto request = s.peer.sameLaterRequest();
  request.setKey(1);
  request.setCap(mine);
  auto cap = request.send().wait(s.wait).getCap();
  Caller caller;
  caller.call(cap, 20);
  letGo(s, 1);
  caller.call(cap, 20);
  cap.whenResolved().wait(s.wait);
  caller.call(cap, 20);
  caller.wait(s.wait);
  checkOrder(tags, 60);
}

void tailCalls(Stage& s) {
  auto forward = [&](Peer::Client target) {
    auto request = s.peer.forwardRequest();
    request.setTarget(target);
    request.setData(kj::StringPtr("round trip").asBytes());
    return request.send().wait(s.wait);
  };
  // To an object of ours: the peer need not see the answer.
  CHECK(forward(kj::heap<PeerImpl>(s.world)).getData() == kj::StringPtr("round trip").asBytes());
  // To the peer itself.
  CHECK(forward(s.peer).getData() == kj::StringPtr("round trip").asBytes());
}

// The peer hangs up when it gets the call.
void disconnect(Stage& s) {
  auto exception = failureOf([&]() { hold(s, 1).wait(s.wait); });
  CHECK(exception.getType() == kj::Exception::Type::DISCONNECTED, exception);
  CHECK(failureOf([&]() { echo(s); }).getType() == kj::Exception::Type::DISCONNECTED);
}

// Leaves without a word, in the middle of things.
void vanish(Stage& s) {
  auto counter = newCounter(s, 0);
  countOn(counter, s.wait);
  auto never = s.peer.neverRequest().send();
  hold(s, 1).wait(s.wait);
  _exit(0);
}

}  // namespace scenarios

inline const std::map<std::string, std::function<void(Stage&)>>& allScenarios() {
  static const std::map<std::string, std::function<void(Stage&)>> all = {
      {"echo", scenarios::echo},
      {"unknown-id", scenarios::unknownId},
      {"pipelining", scenarios::pipelining},
      {"callbacks", scenarios::callbacks},
      {"cancel", scenarios::cancel},
      {"release", scenarios::release},
      {"bulk", scenarios::bulk},
      {"errors", scenarios::errors},
      {"delayed-returns", scenarios::delayedReturns},
      {"delayed-pipeline", scenarios::delayedPipeline},
      {"order-across-return", scenarios::orderAcrossReturn},
      {"order-across-resolve", scenarios::orderAcrossResolve},
      {"tail-calls", scenarios::tailCalls},
      {"disconnect", scenarios::disconnect},
      {"vanish", scenarios::vanish},
  };
  return all;
}
