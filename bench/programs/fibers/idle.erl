-module(idle).
-export([main/0]).
main() ->
    [spawn(fun() -> receive _ -> ok end end) || _ <- lists:seq(1, 1000000)],
    io:format("~p~n", [erlang:system_info(process_count)]), halt().
