/* Linked to each libFuzzer target: one input may take so many seconds of the processor. The clock
 * on the wall, which libFuzzer's own -timeout reads, would only say how busy the machine is. What
 * takes longer is a finding like any other: the input is written, and where it was. */
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

enum { INPUT_S = 20 };

/* The linker puts the second in the place of the first. */
int __real_LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int __wrap_LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void over(int signal)
{
    static const char text[] = "an input took too many seconds of the processor\n";

    (void)signal;
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    abort();
}

static void allow(time_t seconds)
{
    const struct itimerval left = { .it_value = { .tv_sec = seconds } };

    if (setitimer(ITIMER_PROF, &left, NULL) != 0)
        abort();
}

int __wrap_LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const struct sigaction act = { .sa_handler = over };
    int result;

    if (sigaction(SIGPROF, &act, NULL) != 0)
        abort();
    allow(INPUT_S);
    result = __real_LLVMFuzzerTestOneInput(data, n);
    allow(0);
    return result;
}
