// An old worker and an old client of a cluster: all that they know is in schema/ocluster.capnp, which is as it was before there were
// durable jobs. The worker does what it reads on its standard input, and both say what happens to them, line by line.
#pragma once

#include "network.h"
#include "ocluster.capnp.h"
#include "service.h"

#include <capnp/message.h>
#include <kj/async-io.h>
#include <kj/debug.h>

#include <cstdio>
#include <string>
#include <vector>

inline void say(const std::string& line) {
  printf("%s\n", line.c_str());
  fflush(stdout);
}

// Reads standard input by lines.
class Lines {
public:
  explicit Lines(kj::Own<kj::AsyncInputStream> input) : input(kj::mv(input)) {}

  // The next line; "end" at the end.
  kj::Promise<std::string> next() {
    auto end = buffer.find('\n');
    if (end != std::string::npos) {
      std::string line = buffer.substr(0, end);
      buffer.erase(0, end + 1);
      return line;
    }
    return input->tryRead(chunk, 1, sizeof(chunk)).then([this](size_t size) -> kj::Promise<std::string> {
      if (size == 0) return std::string("end");
      buffer.append(chunk, size);
      return next();
    });
  }

private:
  kj::Own<kj::AsyncInputStream> input;
  std::string buffer;
  char chunk[1024];
};

// What a worker knows of the one job that it runs.
struct JobState {
  std::string log, output, failure;
  bool ended = false;
  Gauge changes;  // goes up with each change

  void append(const std::string& text) {
    log += text;
    changes.add(1);
  }

  void end(const std::string& result, const std::string& reason) {
    output = result;
    failure = reason;
    ended = true;
    changes.add(1);
  }
};

class OldJob final : public Job::Server {
public:
  explicit OldJob(JobState& state) : state(state) {}
  ~OldJob() noexcept(false) { say("released"); }

  kj::Promise<void> log(LogContext context) override {
    size_t start = context.getParams().getStart();
    return state.changes.when([this, start](int) { return state.ended || state.log.size() > start; })
        .then([this, context, start](int) mutable {
          std::string data = start < state.log.size() ? state.log.substr(start) : "";
          auto results = context.getResults();
          results.setLog(kj::arrayPtr(reinterpret_cast<const kj::byte*>(data.data()), data.size()));
          results.setNext(start + data.size());
        });
  }

  kj::Promise<void> result(ResultContext context) override {
    return state.changes.when([this](int) { return state.ended; }).then([this, context](int) mutable {
      KJ_REQUIRE(state.failure.empty(), state.failure.c_str());
      context.getResults().setOutput(state.output.c_str());
    });
  }

  kj::Promise<void> cancel(CancelContext context) override {
    say("cancelled");
    return kj::READY_NOW;
  }

private:
  JobState& state;
};

class OldWorkerInfo final : public Worker::Server {};

// Registers and runs one job after the other: `print TEXT`, `done OUTPUT`, `fail REASON` and `end` say how. Ends with the
// connection.
inline void beOldWorker(Registration::Client registration, const std::string& name, Lines lines, kj::WaitScope& wait) {
  auto request = registration.registerRequest();
  request.setName(name.c_str());
  request.setWorker(kj::heap<OldWorkerInfo>());
  request.setCapacity(1);
  auto queue = request.send().wait(wait).getQueue();
  say("registered");
  std::vector<kj::Own<JobState>> kept;
  for (;;) {
    auto state = kj::heap<JobState>();
    auto pop = queue.popRequest();
    pop.setJob(kj::heap<OldJob>(*state));
    std::string spec;
    auto lost = kj::runCatchingExceptions([&]() {
      auto popped = pop.send().wait(wait);
      spec = popped.getDescr().getAction().getObuilder().getSpec().cStr();
    });
    KJ_IF_MAYBE (exception, lost) {
      KJ_REQUIRE(exception->getType() == kj::Exception::Type::DISCONNECTED, *exception);
      return;
    }
    say("job " + spec);
    while (!state->ended) {
      auto line = lines.next().wait(wait);
      if (line == "end") return;
      if (line.compare(0, 6, "print ") == 0) {
        state->append(line.substr(6) + "\n");
      } else if (line.compare(0, 5, "done ") == 0) {
        state->end(line.substr(5), "");
      } else if (line.compare(0, 5, "fail ") == 0) {
        state->end("", line.substr(5));
      } else {
        KJ_FAIL_REQUIRE("no such order", line.c_str());
      }
    }
    kept.push_back(kj::mv(state));  // The scheduler may still ask for it.
  }
}

// Submits one job to the pool and follows it to its end.
inline void beOldClient(Submission::Client submission, const std::string& pool, kj::WaitScope& wait) {
  auto request = submission.submitRequest();
  request.setPool(pool.c_str());
  auto descr = request.initDescr();
  descr.initAction().initObuilder().setSpec("(from old)");
  descr.setCacheHint("old-hint");
  auto ticket = request.send().getTicket();
  auto job = ticket.jobRequest().send().getJob();
  auto result = job.resultRequest().send();
  for (int64_t start = 0;;) {
    auto ask = job.logRequest();
    ask.setStart(start);
    auto page = ask.send().wait(wait);
    if (page.getLog().size() == 0) break;
    std::string text(reinterpret_cast<const char*>(page.getLog().begin()), page.getLog().size());
    if (text.back() == '\n') text.pop_back();
    say("log " + text);
    start = page.getNext();
  }
  auto failed = kj::runCatchingExceptions(
      [&]() { say(std::string("result ") + result.wait(wait).getOutput().cStr()); });
  KJ_IF_MAYBE (exception, failed) say(std::string("failed ") + exception->getDescription().cStr());
}
