-module(empty).
-export([main/0]).
main() -> halt().
