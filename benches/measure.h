// The medians of the benchmarks, for every system. The file that includes it has defined `double now()`, in
// nanoseconds.
#ifndef CR_BENCHES_MEASURE_H
#define CR_BENCHES_MEASURE_H

#include <algorithm>
#include <vector>

namespace {

double median(std::vector<double> &values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

int rounds = 9;

// The median of a few rounds of many calls each: for what takes nanoseconds.
template <class Call> double each(int count, Call call) {
    std::vector<double> times;
    for (int round = 0; round < rounds; ++round) {
        double begin = now();
        for (int i = 0; i < count; ++i) {
            call();
        }
        times.push_back((now() - begin) / count);
    }
    return median(times);
}

// The median of single times: for what takes microseconds. `prepare` is not measured.
template <class Prepare, class Call> double alone(int count, Prepare prepare, Call call) {
    std::vector<double> times;
    for (int i = 0; i < count; ++i) {
        prepare();
        double begin = now();
        call();
        times.push_back(now() - begin);
    }
    return median(times);
}

} // namespace

#endif
