-module(million).
-export([main/0]).
main() ->
    N = 1000000, P = self(),
    [spawn(fun() -> P ! I end) || I <- lists:seq(0, N - 1)],
    io:format("~p~n", [sum(N, 0)]), halt().
sum(0, T) -> T;
sum(N, T) -> receive I -> sum(N - 1, T + I) end.
