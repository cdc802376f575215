/* A server that does nothing but answer: one epoll loop, one constant response of 1024 bytes.
 * Against it a load generator shows its own ceiling. Usage: null-server PORT [WAIT_MS]
 * With WAIT_MS it rests so long (and less than a millisecond more) before each answer. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ROOM = 16384 }; /* answers that rest at a time: one a connection */

static char response[2048];
static int length;
static struct { int64_t due_ms; int fd, then_close; } resting[ROOM];
static unsigned first, last; /* All rest equally long: who came first goes first. */

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void answer(int fd, int then_close) {
    /* One that is not to be kept alive is closed here, as a server does that is asked to. */
    if (write(fd, response, length) != length || then_close)
        close(fd);
}

int main(int argc, char **argv) {
    static char request[4097];
    int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0), poll = epoll_create1(0);
    int wait_ms = argc > 2 ? atoi(argv[2]) : 0;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(argc > 1 ? atoi(argv[1]) : 0)};
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[64];
    length = sprintf(response, "HTTP/1.1 200 OK\r\nServer: null\r\nContent-Length: 1024\r\n\r\n");
    memset(response + length, '.', 1024);
    length += 1024;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1024)) {
        perror("null-server");
        return 1;
    }
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int64_t left_ms = first == last ? -1 : resting[first % ROOM].due_ms - now_ms();
        int ready = epoll_wait(poll, events, 64, first == last ? -1 : left_ms > 0 ? left_ms : 0);
        for (; first != last && resting[first % ROOM].due_ms <= now_ms(); first++)
            answer(resting[first % ROOM].fd, resting[first % ROOM].then_close);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                event.data.fd = accept(listener, NULL, NULL);
                setsockopt(event.data.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                epoll_ctl(poll, EPOLL_CTL_ADD, event.data.fd, &event);
                continue;
            }
            ssize_t got = read(fd, request, sizeof request - 1);
            request[got > 0 ? got : 0] = 0;
            int then_close = strstr(request, "Connection: close") != NULL;
            if (got <= 0)
                close(fd);
            else if (!wait_ms || last - first == ROOM)
                answer(fd, then_close);
            else {
                /* One more: the millisecond that has begun is not whole. */
                resting[last % ROOM].due_ms = now_ms() + wait_ms + 1;
                resting[last % ROOM].fd = fd;
                resting[last++ % ROOM].then_close = then_close;
            }
        }
    }
}
