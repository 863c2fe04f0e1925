-module(ring).
-export([main/0]).
main() ->
    Me = self(),
    F = lists:foldl(fun(_, Next) -> spawn(fun() -> hop(Next) end) end, Me, lists:seq(1, 999)),
    io:format("~p~n", [go(F, 1000, 0)]), halt().
hop(Next) -> receive N -> Next ! N, hop(Next) end.
go(_, 0, T) -> T;
go(F, N, T) -> F ! N, receive M -> go(F, N - 1, T + M) end.
