// The C++ Peer of test.capnp, and the server that offers it.
#pragma once

#include "network.h"
#include "test.capnp.h"

#include <capnp/message.h>
#include <kj/debug.h>

#include <cstdio>
#include <functional>
#include <map>

// A number that others wait for to go over or under a mark.
class Gauge {
public:
  void add(int difference) {
    value += difference;
    for (auto i = waiting.begin(); i != waiting.end();) {
      if (i->condition(value)) {
        i->fulfiller->fulfill(value + 0);
        i = waiting.erase(i);
      } else {
        ++i;
      }
    }
  }

  kj::Promise<int> when(std::function<bool(int)> condition) {
    if (condition(value)) return value + 0;
    auto paf = kj::newPromiseAndFulfiller<int>();
    waiting.push_back({std::move(condition), kj::mv(paf.fulfiller)});
    return kj::mv(paf.promise);
  }

private:
  struct Waiter {
    std::function<bool(int)> condition;
    kj::Own<kj::PromiseFulfiller<int>> fulfiller;
  };
  int value = 0;
  std::vector<Waiter> waiting;
};

// What all connections of the process share.
struct World {
  Gauge counters, cancellations;
  std::map<uint32_t, kj::Own<kj::PromiseFulfiller<void>>> held;

  kj::Promise<void> hold(uint32_t key) {
    auto paf = kj::newPromiseAndFulfiller<void>();
    held[key] = kj::mv(paf.fulfiller);
    return kj::mv(paf.promise);
  }

  void letGo(uint32_t key) {
    auto found = held.find(key);
    KJ_REQUIRE(found != held.end(), "nothing is held under this key", key);
    found->second->fulfill();
    held.erase(found);
  }
};

class CounterImpl final : public Counter::Server {
public:
  CounterImpl(Gauge& live, uint32_t start) : live(live), value(start) { live.add(1); }
  ~CounterImpl() noexcept(false) { live.add(-1); }

  kj::Promise<void> next(NextContext context) override {
    context.getResults().setValue(value++);
    return kj::READY_NOW;
  }

private:
  Gauge& live;
  uint32_t value;
};

class PeerImpl final : public Peer::Server {
public:
  explicit PeerImpl(World& world) : world(world) {}

  kj::Promise<void> echo(EchoContext context) override {
    context.getResults().setData(context.getParams().getData());
    return kj::READY_NOW;
  }

  kj::Promise<void> sink(SinkContext context) override {
    context.getResults().setSize(context.getParams().getData().size());
    return kj::READY_NOW;
  }

  kj::Promise<void> source(SourceContext context) override {
    uint32_t size = context.getParams().getSize();
    auto data = context.getResults(capnp::MessageSize{size / 8 + 16, 0}).initData(size);
    memset(data.begin(), 'x', size);
    return kj::READY_NOW;
  }

  kj::Promise<void> fail(FailContext context) override {
    auto params = context.getParams();
    throw kj::Exception(static_cast<kj::Exception::Type>(params.getKind()), __FILE__, __LINE__,
                        kj::heapString(params.getReason()));
  }

  kj::Promise<void> hold(HoldContext context) override {
    uint32_t key = context.getParams().getKey();
    return world.hold(key).then([context, key]() mutable { context.getResults().setKey(key); });
  }

  kj::Promise<void> letGo(LetGoContext context) override {
    world.letGo(context.getParams().getKey());
    return kj::READY_NOW;
  }

  kj::Promise<void> never(NeverContext context) override {
#if CAPNP_VERSION < 1000000
    context.allowCancellation();  // later versions go by the schema's annotation
#endif
    return kj::Promise<void>(kj::NEVER_DONE).attach(kj::defer([this]() { world.cancellations.add(1); }));
  }

  kj::Promise<void> cancellations(CancellationsContext context) override {
    int atLeast = context.getParams().getAtLeast();
    return world.cancellations.when([atLeast](int count) { return count >= atLeast; })
        .then([context](int count) mutable { context.getResults().setCount(count); });
  }

  kj::Promise<void> counter(CounterContext context) override {
    uint32_t start = context.getParams().getStart();
    context.getResults().setCounter(kj::heap<CounterImpl>(world.counters, start));
    return kj::READY_NOW;
  }

  kj::Promise<void> counterLater(CounterLaterContext context) override {
    auto params = context.getParams();
    uint32_t start = params.getStart();
    return world.hold(params.getKey()).then([this, context, start]() mutable {
      context.getResults().setCounter(kj::heap<CounterImpl>(world.counters, start));
    });
  }

  kj::Promise<void> counters(CountersContext context) override {
    int atMost = context.getParams().getAtMost();
    return world.counters.when([atMost](int live) { return live <= atMost; })
        .then([context](int live) mutable { context.getResults().setLive(live); });
  }

  kj::Promise<void> same(SameContext context) override {
    context.getResults().setCap(context.getParams().getCap());
    return kj::READY_NOW;
  }

  kj::Promise<void> sameLater(SameLaterContext context) override {
    auto params = context.getParams();
    kj::Promise<Counter::Client> later =
        world.hold(params.getKey()).then([cap = params.getCap()]() mutable { return kj::mv(cap); });
    context.getResults().setCap(kj::mv(later));
    return kj::READY_NOW;
  }

  kj::Promise<void> repeat(RepeatContext context) override {
    auto params = context.getParams();
    return step(params.getCallback(), 0, params.getTimes(), 0).then([context](uint32_t sum) mutable {
      context.getResults().setSum(sum);
    });
  }

  kj::Promise<void> forward(ForwardContext context) override {
    auto params = context.getParams();
    auto request = params.getTarget().echoRequest();
    request.setData(params.getData());
    return context.tailCall(kj::mv(request));
  }

private:
  World& world;

  static kj::Promise<uint32_t> step(Callback::Client callback, uint32_t n, uint32_t times, uint32_t sum) {
    if (n == times) return sum + 0;
    auto request = callback.callRequest();
    request.setN(n);
    return request.send().then([=](capnp::Response<Callback::CallResults> response) mutable {
      return step(kj::mv(callback), n + 1, times, sum + response.getN());
    });
  }
};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

// The service under its id and as the default. Ids are how OCaml vats ask; libcapnp keeps this for old peers.
class Restorer final : public capnp::SturdyRefRestorer<capnp::AnyPointer> {
public:
  Restorer(capnp::Capability::Client service, std::string id) : service(kj::mv(service)), id(std::move(id)) {}

  capnp::Capability::Client restore(capnp::AnyPointer::Reader objectId) override {
    if (objectId.isNull()) return service;
    auto bytes = objectId.getAs<capnp::Text>();
    KJ_REQUIRE(bytes.size() == 0 || std::string(bytes.begin(), bytes.size()) == id, "Unknown persistent service ID");
    return service;
  }

private:
  capnp::Capability::Client service;
  std::string id;
};

// A conversation that the other side started; ends itself.
class Accepted {
public:
  Accepted(kj::Own<kj::AsyncIoStream> stream, Restorer& restorer)
      : stream(kj::mv(stream)),
        vatNetwork(*this->stream, capnp::rpc::twoparty::Side::SERVER, readerOptions()),
        rpcSystem(capnp::makeRpcServer(vatNetwork, restorer)) {}

  kj::Promise<void> onDisconnect() { return vatNetwork.onDisconnect(); }

private:
  kj::Own<kj::AsyncIoStream> stream;
  capnp::TwoPartyVatNetwork vatNetwork;
  capnp::RpcSystem<capnp::rpc::twoparty::VatId> rpcSystem;
};

#pragma GCC diagnostic pop

// Serves until killed. Says "listening PORT" on stdout when ready (0 for unix sockets).
class Server final : private kj::TaskSet::ErrorHandler {
public:
  Server(Network& network, capnp::Capability::Client service, const std::string& id)
      : network(network), restorer(kj::mv(service), id), tasks(*this) {}

  [[noreturn]] void run(const std::string& address, kj::WaitScope& waitScope) {
    auto receiver = network.listen(address, waitScope);
    printf("listening %u\n", receiver->getPort());
    fflush(stdout);
    for (;;) {
      auto stream = receiver->accept().wait(waitScope);
      tasks.add(network.secure(kj::mv(stream)).then([this](kj::Own<kj::AsyncIoStream> secured) {
        auto accepted = kj::heap<Accepted>(kj::mv(secured), restorer);
        auto ended = accepted->onDisconnect();
        return ended.attach(kj::mv(accepted));
      }));
    }
  }

private:
  Network& network;
  Restorer restorer;
  kj::TaskSet tasks;

  void taskFailed(kj::Exception&& exception) override {
    fprintf(stderr, "connection: %s\n", exception.getDescription().cStr());
  }
};
