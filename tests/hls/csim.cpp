// The kernels' C simulation behind a C interface: the tops that Vitis would read, called until nothing moves.
//
// Beats are put in one per turn, with probability (256 - stall) / 256, so that processes see their inputs empty.
#include <cstdint>

#include "act_expand.h"
#include "act_finish.h"

void act_expand(zs::Stream& packets, zs::Stream& engine, zs::Stream& runs);
void act_finish(zs::Stream& runs, zs::Sums<zs::ZS_BUILD::sums>& sums, zs::Results& results);

namespace {

struct Source { // beats are one or more words
    const uint64_t* words;
    uint64_t count;
    uint32_t stall, random;
    uint64_t next = 0;

    template <class Beat> void offer(hls::stream<Beat>& stream) {
        random ^= random << 13, random ^= random >> 17, random ^= random << 5;
        if (next == count || (random >> 8 & 255) < stall || stream.size() > 1) return;
        Beat beat;
        take(beat);
        stream.write(beat);
    }

private:
    void take(zs::Word& beat) { beat = words[next++]; }

    template <int N> void take(zs::SumBeat<N>& beat) {
        for (int i = 0; i < N; ++i) beat.sum[i] = words[next + i / 2] >> 32 * (i % 2);
        next += N / 2;
    }
};

constexpr int kQuiet = 200; // turns without an output after which a kernel is done

} // namespace

// Returns the beats that went to the engine; those to act_finish are counted in runs_count.
extern "C" uint64_t csim_expand(const uint64_t* words, uint64_t count, uint32_t stall, uint32_t seed,
                                uint64_t* engine_out, uint64_t* runs_out, uint64_t* runs_count, uint64_t* turns) {
    zs::Stream packets, engine, runs;
    Source source{words, count, stall, seed};
    uint64_t sent = 0;
    *runs_count = *turns = 0;
    for (int quiet = 0; source.next < count || quiet < kQuiet; ++quiet) {
        source.offer(packets);
        act_expand(packets, engine, runs);
        ++*turns;
        zs::Word word;
        while (engine.read_nb(word)) engine_out[sent++] = word, quiet = 0;
        while (runs.read_nb(word)) runs_out[(*runs_count)++] = word, quiet = 0;
    }
    return sent;
}

// Returns the beats of results; last[i] is TLAST of beat i; the last one left in turn `turns`.
extern "C" uint64_t csim_finish(const uint64_t* runs_in, uint64_t runs_count, const uint64_t* sums_in, uint64_t count,
                                uint32_t stall, uint32_t seed, uint64_t* out, uint8_t* last, uint64_t* turns) {
    zs::Stream runs;
    zs::Sums<zs::ZS_BUILD::sums> sums;
    zs::Results results;
    Source run{runs_in, runs_count, stall, seed}, sum{sums_in, count, stall, seed * 3 + 1};
    uint64_t sent = 0;
    uint64_t turn = *turns = 0;
    for (int quiet = 0; run.next < runs_count || sum.next < count || quiet < kQuiet; ++quiet) {
        run.offer(runs);
        sum.offer(sums);
        act_finish(runs, sums, results);
        ++turn;
        zs::Result result;
        while (results.read_nb(result)) {
            if (result.keep != 0xFF) return 0;
            last[sent] = result.last;
            out[sent++] = result.data;
            *turns = turn;
            quiet = 0;
        }
    }
    return sent;
}
