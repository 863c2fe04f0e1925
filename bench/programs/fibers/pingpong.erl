-module(pingpong).
-export([main/0]).
main() ->
    E = spawn(fun echo/0),
    io:format("~p~n", [go(E, 1000000, 0)]), halt().
echo() -> receive {F, N} -> F ! N, echo() end.
go(_, 0, T) -> T;
go(E, N, T) -> E ! {self(), N}, receive M -> go(E, N - 1, T + M) end.
