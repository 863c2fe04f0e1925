-module(join).
-export([main/0]).
main() -> go(1000000), halt().
go(0) -> ok;
go(N) -> {_, R} = spawn_monitor(fun() -> ok end), receive {'DOWN', R, _, _, _} -> go(N - 1) end.
