-module(senders).
-export([main/0]).
main() ->
    P = self(),
    [spawn(fun() -> send(P, 9999) end) || _ <- lists:seq(1, 1000)],
    io:format("~p~n", [sum(10000000, 0)]), halt().
send(_, -1) -> ok;
send(P, N) -> P ! N, send(P, N - 1).
sum(0, T) -> T;
sum(N, T) -> receive I -> sum(N - 1, T + I) end.
