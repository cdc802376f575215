/* A server that does nothing but answer: one epoll loop, one constant response of 1024 bytes.
 * Against it a load generator shows its own ceiling. Usage: null-server PORT */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv) {
    static char response[2048], request[4097];
    int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0), poll = epoll_create1(0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(argc > 1 ? atoi(argv[1]) : 0)};
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[64];
    int length = sprintf(response, "HTTP/1.1 200 OK\r\nServer: null\r\nContent-Length: 1024\r\n\r\n");
    memset(response + length, '.', 1024);
    length += 1024;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1024)) {
        perror("null-server");
        return 1;
    }
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int ready = epoll_wait(poll, events, 64, -1);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                event.data.fd = accept(listener, NULL, NULL);
                setsockopt(event.data.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                epoll_ctl(poll, EPOLL_CTL_ADD, event.data.fd, &event);
            } else {
                /* One that is not to be kept alive is closed here, as a server does that is asked to. */
                ssize_t got = read(fd, request, sizeof request - 1);
                request[got > 0 ? got : 0] = 0;
                if (got <= 0 || write(fd, response, length) != length || strstr(request, "Connection: close"))
                    close(fd);
            }
        }
    }
}
