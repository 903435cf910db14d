// How peer.c++ reaches others: addresses as in sturdy refs, plain or TLS with one trusted peer certificate.
#pragma once

#include <capnp/rpc-twoparty.h>
#include <kj/async-io.h>
#include <kj/compat/tls.h>
#include <kj/debug.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

struct Options {
  std::string tlsKey, tlsCertificate, tlsTrusted;  // paths of PEM files; empty: no TLS
  std::string id;                                  // raw bytes of a service id; empty: the default service
  std::string relay;                               // serve: pass calls on to the default service there
  uint64_t calls = 10000;
  uint32_t bytes = 16;
  uint32_t window = 1;
};

inline std::string readFile(const std::string& path) {
  std::ifstream file(path);
  KJ_REQUIRE(file.good(), "cannot read", path.c_str());
  std::stringstream content;
  content << file.rdbuf();
  return content.str();
}

// "tcp:HOST:PORT" and "unix:/PATH" as kj writes them.
inline std::string kjAddress(const std::string& address) {
  return address.compare(0, 4, "tcp:") == 0 ? address.substr(4) : address;
}

// The sockets of a process. With TLS both ends present certificates, and each trusts exactly one: that is as near as kj
// comes to comparing the digests of keys. The common name "capnp" stands in for a host name.
class Network {
public:
  Network(kj::AsyncIoProvider& provider, const Options& options) : network(provider.getNetwork()) {
    if (options.tlsKey.empty()) return;
    kj::TlsKeypair keypair{kj::TlsPrivateKey(kj::StringPtr(readFile(options.tlsKey).c_str())),
                           kj::TlsCertificate(kj::StringPtr(readFile(options.tlsCertificate).c_str()))};
    kj::TlsCertificate trusted(kj::StringPtr(readFile(options.tlsTrusted).c_str()));
    kj::TlsContext::Options tlsOptions;
    tlsOptions.useSystemTrustStore = false;
    tlsOptions.verifyClients = true;
    tlsOptions.trustedCertificates = kj::arrayPtr(&trusted, 1);
    tlsOptions.defaultKeypair = keypair;
    tls = kj::heap<kj::TlsContext>(kj::mv(tlsOptions));
  }

  kj::Own<kj::AsyncIoStream> connect(const std::string& address, kj::WaitScope& waitScope) {
    auto stream = network.parseAddress(kjAddress(address).c_str()).wait(waitScope)->connect().wait(waitScope);
    if (tls.get() == nullptr) return stream;
    return tls->wrapClient(kj::mv(stream), "capnp").wait(waitScope);
  }

  kj::Own<kj::ConnectionReceiver> listen(const std::string& address, kj::WaitScope& waitScope) {
    return network.parseAddress(kjAddress(address).c_str()).wait(waitScope)->listen();
  }

  kj::Promise<kj::Own<kj::AsyncIoStream>> secure(kj::Own<kj::AsyncIoStream> accepted) {
    if (tls.get() == nullptr) return kj::mv(accepted);
    return tls->wrapServer(kj::mv(accepted));
  }

private:
  kj::Network& network;
  kj::Own<kj::TlsContext> tls;
};

// C++ reads 64 MiB per message by default, which is for untrusted peers; 10 MB of data is near enough for tests.
inline capnp::ReaderOptions readerOptions() {
  capnp::ReaderOptions options;
  options.traversalLimitInWords = 1ull << 30;
  return options;
}

// A conversation that this side started.
class Conversation {
public:
  Conversation(kj::Own<kj::AsyncIoStream> stream)
      : stream(kj::mv(stream)),
        vatNetwork(*this->stream, capnp::rpc::twoparty::Side::CLIENT, readerOptions()),
        rpcSystem(capnp::makeRpcClient(vatNetwork)) {}

  // The service with this id, asked for as OCaml vats do: Bootstrap.deprecatedObjectId is a Text of the raw bytes.
  capnp::Capability::Client service(const std::string& id) {
    capnp::MallocMessageBuilder message;
    auto vatId = message.initRoot<capnp::rpc::twoparty::VatId>();
    vatId.setSide(capnp::rpc::twoparty::Side::SERVER);
    if (id.empty()) return rpcSystem.bootstrap(vatId);
    capnp::MallocMessageBuilder objectId;
    objectId.getRoot<capnp::AnyPointer>().setAs<capnp::Text>(capnp::Text::Reader(id.data(), id.size()));
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    return rpcSystem.restore(vatId, objectId.getRoot<capnp::AnyPointer>().asReader());
#pragma GCC diagnostic pop
  }

private:
  kj::Own<kj::AsyncIoStream> stream;
  capnp::TwoPartyVatNetwork vatNetwork;
  capnp::RpcSystem<capnp::rpc::twoparty::VatId> rpcSystem;
};
