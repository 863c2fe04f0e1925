local parts = {}
local i = 0
while i < 1000000 do parts[#parts + 1] = "item " .. i .. ", "; i = i + 1 end
print(#table.concat(parts))
