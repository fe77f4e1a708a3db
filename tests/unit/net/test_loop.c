#include "support.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "net_int.h"

static struct cph_net_env host;

static struct cph_net *net_new(void)
{
    struct cph_net *net = NULL;

    cph_net_env_init(&host, CPH_LOG_ERROR);
    assert_ok(cph_net_new(&host.env, &net));
    return net;
}

struct log {
    struct cph_net *net;
    struct cph_net_wake *wake[3];
    size_t n;
    char text[16];
    cph_time at[16];
};

static void add(struct log *log, char what, cph_time now)
{
    assert_true(log->n < 15);
    log->at[log->n] = now;
    log->text[log->n++] = what;
}

static void on_a(void *arg, cph_time now)
{
    add(arg, 'a', now);
}

static void on_b(void *arg, cph_time now)
{
    add(arg, 'b', now);
    cph_net_stop(((struct log *)arg)->net);
}

static void deadlines_fire_in_order_and_not_early(void **state)
{
    struct log log = { .net = net_new() };
    cph_time t0 = cph_net_now(log.net);

    (void)state;
    assert_ok(cph_net_wake_new(log.net, on_a, &log, &log.wake[0]));
    assert_ok(cph_net_wake_new(log.net, on_b, &log, &log.wake[1]));
    assert_ok(cph_net_wake_new(log.net, on_a, &log, &log.wake[2]));
    cph_net_wake_at(log.wake[1], t0 + CPH_MS(10));
    cph_net_wake_at(log.wake[0], t0 + CPH_MS(500));
    cph_net_wake_at(log.wake[0], t0 + CPH_MS(5)); /* replaces */
    cph_net_wake_at(log.wake[2], t0 + CPH_MS(1));
    cph_net_wake_at(log.wake[2], CPH_TIME_NEVER);
    assert_ok(cph_net_run(log.net));
    assert_string_equal(log.text, "ab");
    assert_true(log.at[0] >= t0 + CPH_MS(5));
    assert_true(log.at[1] >= t0 + CPH_MS(10));
    cph_net_wake_free(NULL);
    cph_net_free(log.net);
    cph_net_free(NULL);
}

static void on_again(void *arg, cph_time now)
{
    struct log *log = arg;

    add(log, 'x', now);
    cph_net_wake_at(log->wake[0], now);
}

static void a_deadline_that_is_always_now_fires_once_per_turn(void **state)
{
    struct log log = { .net = net_new() };

    (void)state;
    assert_ok(cph_net_wake_new(log.net, on_again, &log, &log.wake[0]));
    cph_net_wake_at(log.wake[0], -5);
    for (size_t i = 1; i <= 5; i++) {
        assert_ok(cph_net_turn(log.net, 0));
        assert_int_equal(log.n, i);
    }
    cph_net_free(log.net);
}

static void on_free_all(void *arg, cph_time now)
{
    struct log *log = arg;

    add(log, 'f', now);
    for (size_t i = 0; i < 3; i++)
        cph_net_wake_free(log->wake[i]);
    cph_net_wake_at(log->wake[1], 0); /* until the turn is over it is there, and dead */
    assert_err(cph_net_turn(log->net, 0), CPH_E_STATE);
    assert_err(cph_net_run(log->net), CPH_E_STATE);
}

static void what_was_freed_in_a_callback_is_not_called(void **state)
{
    struct log log = { .net = net_new() };

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_ok(cph_net_wake_new(log.net, on_free_all, &log, &log.wake[i]));
        cph_net_wake_at(log.wake[i], 1);
    }
    assert_ok(cph_net_turn(log.net, 0));
    assert_ok(cph_net_turn(log.net, 0));
    assert_int_equal(log.n, 1);
    cph_net_free(log.net);
}

static void the_clock_is_read_once_per_turn(void **state)
{
    struct log log = { .net = net_new() };

    (void)state;
    assert_ok(cph_net_wake_new(log.net, on_a, &log, &log.wake[0]));
    assert_ok(cph_net_wake_new(log.net, on_a, &log, &log.wake[1]));
    cph_net_wake_at(log.wake[0], 1);
    cph_net_wake_at(log.wake[1], 2);
    assert_ok(cph_net_turn(log.net, 0));
    assert_int_equal(log.n, 2);
    assert_true(log.at[0] == log.at[1]);
    cph_net_free(log.net);
}

static void a_turn_waits_no_longer_than_asked(void **state)
{
    struct cph_net *net = net_new();
    cph_time t0 = cph_net_now(net), took;

    (void)state;
    assert_ok(cph_net_turn(net, CPH_MS(20)));
    took = cph_net_now(net) - t0;
    assert_true(took >= CPH_MS(19) && took < CPH_SEC(5));
    cph_net_free(net);
}

static void on_signal(void *arg, int signo, cph_time now)
{
    add(arg, signo == SIGTERM ? 'T' : signo == SIGINT ? 'I' : '?', now);
}

static void signals_come_through_the_loop(void **state)
{
    struct log log = { .net = net_new() };

    (void)state;
    assert_ok(cph_net_signals(log.net, on_signal, &log));
    assert_err(cph_net_signals(log.net, on_signal, &log), CPH_E_EXISTS);
    assert_int_equal(raise(SIGTERM), 0);
    assert_ok(cph_net_turn(log.net, CPH_SEC(1)));
    assert_int_equal(raise(SIGINT), 0);
    assert_ok(cph_net_turn(log.net, CPH_SEC(1)));
    assert_string_equal(log.text, "TI");
    cph_net_free(log.net);
}

static void on_keys(void *arg, struct cph_span bytes, cph_time now)
{
    add(arg, bytes.n ? (char)bytes.p[0] : '.', now);
}

static void keys_come_from_a_pipe_until_its_end(void **state)
{
    struct log log = { .net = net_new() };
    struct cph_net_watch *w;
    int fd[2];

    (void)state;
    assert_int_equal(pipe(fd), 0);
    assert_ok(cph_net_keys(log.net, fd[0], on_keys, &log, &w));
    assert_int_equal(write(fd[1], "q", 1), 1);
    assert_ok(cph_net_turn(log.net, CPH_SEC(1)));
    (void)close(fd[1]);
    assert_ok(cph_net_turn(log.net, CPH_SEC(1)));
    assert_ok(cph_net_turn(log.net, CPH_MS(5)));
    assert_string_equal(log.text, "q.");
    cph_net_watch_close(w);
    cph_net_watch_close(NULL);
    (void)close(fd[0]);
    cph_net_free(log.net);
}

static void a_file_that_cannot_be_waited_for_is_refused(void **state)
{
    struct cph_net *net = net_new();
    struct cph_net_watch *w;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    (void)state;
    assert_err(cph_net_keys(net, fd, on_keys, NULL, &w), CPH_E_UNSUPPORTED);
    assert_err(cph_net_watch(net, fd, true, false, NULL, NULL, &w), CPH_E_UNSUPPORTED);
    assert_err(cph_net_watch(net, -1, true, false, NULL, NULL, &w), CPH_E_ARGUMENT);
    (void)close(fd);
    cph_net_free(net);
}

static void on_ready(void *arg, int fd, bool readable, bool writable, cph_time now)
{
    (void)fd;
    add(arg, readable ? 'r' : writable ? 'w' : '?', now);
}

static void a_watched_descriptor_tells_when_it_is_ready(void **state)
{
    struct log log = { .net = net_new() };
    struct cph_net_watch *w;
    int fd[2];

    (void)state;
    assert_int_equal(pipe(fd), 0);
    assert_ok(cph_net_watch(log.net, fd[1], false, true, on_ready, &log, &w));
    assert_ok(cph_net_turn(log.net, CPH_SEC(1)));
    assert_string_equal(log.text, "w");
    cph_net_watch_close(w);
    assert_ok(cph_net_turn(log.net, 0));
    assert_int_equal(log.n, 1);
    (void)close(fd[0]);
    (void)close(fd[1]);
    cph_net_free(log.net);
}

static void the_real_environment_is_random_and_knows_the_date(void **state)
{
    uint8_t a[300] = { 0 }, b[300] = { 0 };

    (void)state;
    cph_net_env_init(&host, CPH_LOG_ERROR);
    assert_ok(cph_random(&host.env, a, sizeof a));
    assert_ok(cph_random(&host.env, b, sizeof b));
    assert_memory_not_equal(a, b, sizeof a);
    assert_true(cph_wall(&host.env) > 1700000000);
}

static void a_log_line_cannot_steer_the_terminal(void **state)
{
    char got[512] = "", name[] = "/tmp/ciphony-log-XXXXXX";
    int fd = mkstemp(name), saved = dup(2);
    ssize_t n;

    (void)state;
    assert_true(fd >= 0 && saved >= 0);
    cph_net_env_init(&host, CPH_LOG_WARN);
    (void)fflush(stderr);
    assert_int_equal(dup2(fd, 2), 2);
    cph_log(&host.env, CPH_LOG_WARN, "sip",
            "from \"\x1b[2J\xc2\x9b"
            "2J\r\x7f\xc3\xa4\"");
    cph_log(&host.env, CPH_LOG_INFO, "sip", "not shown");
    (void)fflush(stderr);
    assert_int_equal(dup2(saved, 2), 2);
    n = pread(fd, got, sizeof got - 1, 0);
    assert_true(n > 13);
    assert_string_equal(got + 13, "warning: sip: from \"?[2J?2J??\xc3\xa4\"\n");
    (void)close(fd);
    (void)close(saved);
    (void)unlink(name);
}

static cph_err scenario(void *arg)
{
    struct cph_net_wake *w;
    struct cph_net *net;
    cph_err err;

    (void)arg;
    CPH_TRY(cph_net_new(&host.env, &net));
    err = cph_net_wake_new(net, on_a, NULL, &w);
    cph_net_free(net);
    return err;
}

static void running_out_of_memory_is_reported(void **state)
{
    (void)state;
    test_alloc_fails(scenario, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deadlines_fire_in_order_and_not_early),
        cmocka_unit_test(a_deadline_that_is_always_now_fires_once_per_turn),
        cmocka_unit_test(what_was_freed_in_a_callback_is_not_called),
        cmocka_unit_test(the_clock_is_read_once_per_turn),
        cmocka_unit_test(a_turn_waits_no_longer_than_asked),
        cmocka_unit_test(signals_come_through_the_loop),
        cmocka_unit_test(keys_come_from_a_pipe_until_its_end),
        cmocka_unit_test(a_file_that_cannot_be_waited_for_is_refused),
        cmocka_unit_test(a_watched_descriptor_tells_when_it_is_ready),
        cmocka_unit_test(the_real_environment_is_random_and_knows_the_date),
        cmocka_unit_test(a_log_line_cannot_steer_the_terminal),
        cmocka_unit_test(running_out_of_memory_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
