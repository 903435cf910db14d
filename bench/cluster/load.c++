// Workers and clients that load a scheduler, whichever it is: all that they know is schema/ocluster.capnp. They are made with libcapnp,
// which writes each message by itself, as other people's peers do. A null job takes no time: its result is there when it starts, and its
// log as soon as somebody asks for it.
//
// One process plays all of them, each with a connection of its own. It prints what it has measured as one line of JSON. What the
// scheduler takes is read from /proc, so it must be on the same machine.

#include "../../test/interop/network.h"
#include "ocluster.capnp.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iterator>
#include <map>
#include <unistd.h>

struct Place {
  std::string address, id;
};

struct Settings {
  // A directory with NUMBER.key and NUMBER.pem of each member, as a scheduler takes two with one key for the same, and with
  // scheduler.pem. Empty: no TLS.
  std::string tls;
  Place registration, submission;
  std::string pool = "bench";
  int pid = 0;
  // What they mean depends on the scenario.
  uint64_t jobs = 20000, workers = 10, clients = 4, outstanding = 64, chunk = 64, chunks = 1;
};

using Clock = std::chrono::steady_clock;

static double secondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// What the scheduler has used.
class Scheduler {
public:
  explicit Scheduler(int pid) : directory("/proc/" + std::to_string(pid)) {}

  // Processor time of all its threads, in µs; the kernel counts in ticks of 10 ms.
  double cpu() const {
    auto text = readFile(directory + "/stat");
    std::istringstream fields(text.substr(text.rfind(')') + 2));
    std::vector<std::string> all((std::istream_iterator<std::string>(fields)), std::istream_iterator<std::string>());
    // utime and stime, the 14th and 15th of proc(5), which counts from 1; the first two are cut off.
    return (std::stod(all[11]) + std::stod(all[12])) * 1e6 / sysconf(_SC_CLK_TCK);
  }

  // Resident memory, in bytes.
  double memory() const {
    std::istringstream fields(readFile(directory + "/statm"));
    uint64_t size, resident;
    fields >> size >> resident;
    return double(resident) * sysconf(_SC_PAGESIZE);
  }

private:
  std::string directory;
};

class Figures {
public:
  void add(const std::string& name, double value) {
    char text[64];
    snprintf(text, sizeof(text), "%.3f", value);
    json += (json.empty() ? "" : ",") + ("\"" + name + "\":" + text);
  }
  void print() const { printf("{%s}\n", json.c_str()); }

private:
  std::string json;
};

static double percentile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1, size_t(values.size() * share))];
}

class NullJob final : public Job::Server {
public:
  NullJob(uint64_t chunk, uint64_t size) : chunk(chunk), size(size) {}

  kj::Promise<void> log(LogContext context) override {
    uint64_t start = context.getParams().getStart();
    uint64_t length = start >= size ? 0 : std::min(chunk, size - start);
    auto results = context.getResults(capnp::MessageSize{length / 8 + 16, 0});
    auto data = results.initLog(length);
    memset(data.begin(), 'x', length);
    results.setNext(start + length);
    return kj::READY_NOW;
  }

  kj::Promise<void> result(ResultContext context) override {
    context.getResults().setOutput("");
    return kj::READY_NOW;
  }

  kj::Promise<void> cancel(CancelContext) override { return kj::READY_NOW; }

private:
  uint64_t chunk, size;
};

class IdleWorker final : public Worker::Server {};

// A worker that takes job after job once it has been told to.
class NullWorker : kj::TaskSet::ErrorHandler {
public:
  NullWorker(kj::Own<kj::AsyncIoStream> stream, const Settings& settings, const std::string& name, kj::WaitScope& wait)
      : settings(settings), conversation(kj::mv(stream)), queue(nullptr), tasks(*this) {
    auto request = conversation.service(settings.registration.id).castAs<Registration>().registerRequest();
    request.setName(name.c_str());
    request.setCapacity(1);
    request.setWorker(kj::heap<IdleWorker>());
    queue = request.send().wait(wait).getQueue();
  }

  // `onJob` is told of each.
  void work(std::function<void()> onJob) {
    told = kj::mv(onJob);
    tasks.add(takeJobs());
  }

private:
  const Settings& settings;
  Conversation conversation;
  Queue::Client queue;
  std::function<void()> told;
  kj::TaskSet tasks;

  kj::Promise<void> takeJobs() {
    auto request = queue.popRequest();
    request.setJob(kj::heap<NullJob>(settings.chunk, settings.chunk * settings.chunks));
    return request.send().then([this](auto) {
      told();
      return takeJobs();
    });
  }

  void taskFailed(kj::Exception&& exception) override {
    KJ_LOG(ERROR, "a worker has failed", exception);
    exit(1);
  }
};

class NullClient {
public:
  NullClient(kj::Own<kj::AsyncIoStream> stream, const Settings& settings, kj::WaitScope& wait)
      : settings(settings), conversation(kj::mv(stream)),
        submission(conversation.service(settings.submission.id).castAs<Submission>()) {
    submission.whenResolved().wait(wait);
  }

  capnp::RemotePromise<Submission::SubmitResults> submit() {
    auto request = submission.submitRequest();
    request.setPool(settings.pool.c_str());
    request.initDescr().initAction().initObuilder().setSpec("");
    return request.send();
  }

  // Submits a job, reads its log to the end and waits for its result. Resolves to the bytes of the log.
  kj::Promise<uint64_t> run() {
    auto ticket = submit().getTicket();
    auto job = ticket.jobRequest().send().getJob();
    auto ended = job.resultRequest().send().ignoreResult();
    return readLog(job, 0)
        .then([ended = kj::mv(ended)](uint64_t bytes) mutable { return ended.then([bytes]() { return bytes; }); })
        .attach(kj::mv(ticket), kj::mv(job));
  }

private:
  const Settings& settings;
  Conversation conversation;
  Submission::Client submission;

  kj::Promise<uint64_t> readLog(Job::Client job, uint64_t start) {
    auto request = job.logRequest();
    request.setStart(start);
    return request.send().then([this, job, start](auto response) mutable -> kj::Promise<uint64_t> {
      if (response.getLog().size() == 0) return start;
      return readLog(kj::mv(job), response.getNext());
    });
  }
};

// Resolves when a count has come so far.
class Count {
public:
  void add() {
    if (++done == awaited) KJ_IF_MAYBE (fulfiller, waiting) (*fulfiller)->fulfill();
  }

  void wait(uint64_t count, kj::WaitScope& scope) {
    if (done >= count) return;
    auto paf = kj::newPromiseAndFulfiller<void>();
    awaited = count;
    waiting = kj::mv(paf.fulfiller);
    paf.promise.wait(scope);
    waiting = nullptr;
  }

  uint64_t done = 0;

private:
  uint64_t awaited = 0;
  kj::Maybe<kj::Own<kj::PromiseFulfiller<void>>> waiting;
};

class Load {
public:
  Load(kj::AsyncIoContext& io, const Settings& settings)
      : io(io), settings(settings), scheduler(settings.pid) {}

  // `jobs` at first, as many that are not measured, and twice as many: what the first ones cost, and what one costs when the
  // scheduler has long been running.
  void throughput() {
    auto workers = connectWorkers();
    auto clients = connectClients();
    Count count;
    for (auto& worker : workers) worker->work([]() {});
    bool stopped = false;
    std::function<kj::Promise<void>(NullClient&)> lane = [&](NullClient& client) -> kj::Promise<void> {
      if (stopped) return kj::READY_NOW;
      return client.run().then([&](uint64_t) {
        count.add();
        return lane(client);
      });
    };
    auto first = begin();
    kj::Vector<kj::Promise<void>> lanes;
    for (auto& client : clients) {
      for (uint64_t i = 0; i < settings.outstanding; i++) lanes.add(lane(*client));
    }
    auto all = kj::joinPromises(lanes.releaseAsArray()).eagerlyEvaluate([](kj::Exception&& exception) {
      KJ_LOG(ERROR, "a client has failed", exception);
      exit(1);
    });
    count.wait(settings.jobs, io.waitScope);
    tell("first ", settings.jobs, first);
    count.wait(2 * settings.jobs, io.waitScope);
    auto later = begin();
    uint64_t before = count.done;
    count.wait(4 * settings.jobs, io.waitScope);
    tell("", count.done - before, later);
    stopped = true;
    all.wait(io.waitScope);
    figures.print();
  }

  // One job at a time, for a worker that waits for it.
  void latency() {
    auto worker = connectWorker(0);
    auto client = connectClient();
    Clock::time_point start;
    std::vector<double> toWorker, toResult;
    worker->work([&]() { toWorker.push_back(secondsSince(start) * 1e3); });
    for (uint64_t i = 0; i < settings.jobs; i++) {
      start = Clock::now();
      client->run().wait(io.waitScope);
      toResult.push_back(secondsSince(start) * 1e3);
    }
    figures.add("submit → worker p50 ms", percentile(toWorker, 0.5));
    figures.add("submit → worker p99 ms", percentile(toWorker, 0.99));
    figures.add("submit → result p50 ms", percentile(toResult, 0.5));
    figures.print();
  }

  // The log of one job, after that of another.
  void log() {
    auto worker = connectWorker(0);
    auto client = connectClient();
    worker->work([]() {});
    client->run().wait(io.waitScope);
    auto start = begin();
    uint64_t bytes = client->run().wait(io.waitScope);
    figures.add("MB/s", bytes / 1e6 / secondsSince(start.time));
    figures.add("scheduler µs/MB", (scheduler.cpu() - start.cpu) / (bytes / 1e6));
    figures.print();
  }

  // `jobs` are queued while there is no worker, and then run.
  void backlog() {
    auto client = connectClient();
    double empty = scheduler.memory();
    auto submitting = begin();
    std::vector<Ticket::Client> tickets;
    std::function<kj::Promise<void>()> lane = [&]() -> kj::Promise<void> {
      if (tickets.size() + settings.outstanding > settings.jobs) return kj::READY_NOW;
      return client->submit().then([&](auto response) {
        tickets.push_back(response.getTicket());
        return lane();
      });
    };
    kj::Vector<kj::Promise<void>> lanes;
    for (uint64_t i = 0; i < settings.outstanding; i++) lanes.add(lane());
    kj::joinPromises(lanes.releaseAsArray()).wait(io.waitScope);
    figures.add("submits/s", tickets.size() / secondsSince(submitting.time));
    figures.add("memory/job bytes", (scheduler.memory() - empty) / tickets.size());
    Count count;
    auto workers = connectWorkers();
    auto draining = begin();
    for (auto& worker : workers) worker->work([&]() { count.add(); });
    count.wait(tickets.size(), io.waitScope);
    figures.add("drained jobs/s", tickets.size() / secondsSince(draining.time));
    figures.print();
  }

  // Workers that do nothing.
  void idle() {
    double empty = scheduler.memory();
    auto connecting = begin();
    auto workers = connectWorkers();
    tell("connects, ", workers.size(), connecting);
    figures.add("KB a worker", (scheduler.memory() - empty) / 1e3 / workers.size());
    auto idling = begin();
    io.provider->getTimer().afterDelay(5 * kj::SECONDS).wait(io.waitScope);
    figures.add("idle, % of a core", (scheduler.cpu() - idling.cpu) / 5e6 * 100);
    figures.print();
  }

private:
  kj::AsyncIoContext& io;
  const Settings& settings;
  Scheduler scheduler;
  Figures figures;
  std::vector<kj::Own<Network>> networks;

  struct Beginning {
    Clock::time_point time;
    double cpu;
  };

  Beginning begin() const { return {Clock::now(), scheduler.cpu()}; }

  void tell(const std::string& what, uint64_t count, const Beginning& since) {
    figures.add(what + "per second", count / secondsSince(since.time));
    figures.add(what + "scheduler µs each", (scheduler.cpu() - since.cpu) / count);
  }

  // As the next member.
  kj::Own<kj::AsyncIoStream> connect(const std::string& address) {
    Options options;
    if (!settings.tls.empty()) {
      auto member = settings.tls + "/" + std::to_string(networks.size());
      options.tlsKey = member + ".key";
      options.tlsCertificate = member + ".pem";
      options.tlsTrusted = settings.tls + "/scheduler.pem";
    }
    networks.push_back(kj::heap<Network>(*io.provider, options));
    return networks.back()->connect(address, io.waitScope);
  }

  kj::Own<NullWorker> connectWorker(uint64_t number) {
    auto stream = connect(settings.registration.address);
    return kj::heap<NullWorker>(kj::mv(stream), settings, "w" + std::to_string(number), io.waitScope);
  }

  std::vector<kj::Own<NullWorker>> connectWorkers() {
    std::vector<kj::Own<NullWorker>> workers;
    for (uint64_t i = 0; i < settings.workers; i++) workers.push_back(connectWorker(i));
    return workers;
  }

  kj::Own<NullClient> connectClient() {
    auto stream = connect(settings.submission.address);
    return kj::heap<NullClient>(kj::mv(stream), settings, io.waitScope);
  }

  std::vector<kj::Own<NullClient>> connectClients() {
    std::vector<kj::Own<NullClient>> clients;
    for (uint64_t i = 0; i < settings.clients; i++) clients.push_back(connectClient());
    return clients;
  }
};

static std::string fromHex(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  return bytes;
}

int main(int argc, char** argv) {
  const std::map<std::string, void (Load::*)()> scenarios = {
      {"throughput", &Load::throughput}, {"latency", &Load::latency}, {"log", &Load::log},
      {"backlog", &Load::backlog},       {"idle", &Load::idle},
  };
  auto scenario = argc < 2 ? scenarios.end() : scenarios.find(argv[1]);
  if (scenario == scenarios.end()) {
    fprintf(stderr, "usage: load throughput|latency|log|backlog|idle --pid PID --register ADDRESS ID --submit ADDRESS ID\n"
                    "       [--tls DIR] [--pool NAME] [--jobs N] [--workers N] [--clients N]\n"
                    "       [--outstanding N] [--chunk BYTES] [--chunks N]\n");
    return 2;
  }
  Settings settings;
  const std::map<std::string, uint64_t*> numbers = {
      {"--jobs", &settings.jobs},   {"--workers", &settings.workers},         {"--clients", &settings.clients},
      {"--chunk", &settings.chunk}, {"--outstanding", &settings.outstanding}, {"--chunks", &settings.chunks},
  };
  for (int i = 2; i < argc; i++) {
    std::string arg = argv[i];
    auto value = [&]() {
      KJ_REQUIRE(i + 1 < argc, "option without a value", arg.c_str());
      return std::string(argv[++i]);
    };
    auto place = [&]() {
      auto address = value();
      return Place{address, fromHex(value())};
    };
    auto number = numbers.find(arg);
    if (number != numbers.end()) {
      *number->second = std::stoull(value());
    } else if (arg == "--tls") {
      settings.tls = value();
    } else if (arg == "--register") {
      settings.registration = place();
    } else if (arg == "--submit") {
      settings.submission = place();
    } else if (arg == "--pool") {
      settings.pool = value();
    } else if (arg == "--pid") {
      settings.pid = std::stoi(value());
    } else {
      KJ_FAIL_REQUIRE("no such option", arg.c_str());
    }
  }
  auto io = kj::setupAsyncIo();
  Load load(io, settings);
  (load.*scenario->second)();
  fflush(stdout);
  _exit(0);  // Connections break as those of a process that was killed; nobody waits for their goodbyes.
}
