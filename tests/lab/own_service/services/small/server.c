/* A small HTTP/1.1 server: one thread, epoll, an answer of a stated length to whatever is asked.
 * PORT: where it listens (8080). ADDRESS: at which (0.0.0.0). Faults on purpose, by the environment:
 * START_MS: waits before it listens. DIES_AFTER, LEAKS: ends, or keeps a descriptor, by the request.
 * ODD_IN_HOST: says something else where its network has a docker0. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static long number(const char *name, long usual) {
    const char *text = getenv(name);
    return text && *text ? strtol(text, NULL, 10) : usual;
}

int main(void) {
    static const char usual[] = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nX-Mode: same\r\n\r\nsmall\n";
    static const char odd[] = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nX-Mode: host\r\n\r\nlarger\n";
    static char buffer[1 << 20];
    const char *answer = usual, *address = getenv("ADDRESS");
    long port = number("PORT", 8080), dies_after = number("DIES_AFTER", 0), leaks = number("LEAKS", 0);
    long wait_ms = number("START_MS", 0), served = 0;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct timespec pause = {.tv_sec = wait_ms / 1000, .tv_nsec = wait_ms % 1000 * 1000000};
    struct epoll_event events[256], event = {.events = EPOLLIN};
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), epoll = epoll_create1(0);

    signal(SIGPIPE, SIG_IGN);
    if (number("ODD_IN_HOST", 0) && access("/sys/class/net/docker0", F_OK) == 0)
        answer = odd;
    nanosleep(&pause, NULL);
    inet_pton(AF_INET, address ? address : "0.0.0.0", &at.sin_addr);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 4096)) {
        perror("small: cannot listen");
        return 1;
    }
    fprintf(stderr, "small: listening on port %ld\n", port);
    event.data.fd = listener;
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int ready = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            ssize_t size;
            if (fd == listener) {
                while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                    event.data.fd = fd;
                    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
                }
                continue;
            }
            if ((size = read(fd, buffer, sizeof buffer)) <= 0) {
                close(fd);
                continue;
            }
            if (dies_after && ++served > dies_after) {
                fprintf(stderr, "small: as it was told, it ends after %ld requests\n", dies_after);
                return 3;
            }
            if (leaks && open("/server", O_RDONLY) < 0) {
                perror("small: no descriptor left");
                close(fd);
                continue;
            }
            if (write(fd, answer, strlen(answer)) < 0)
                close(fd);
        }
    }
}
