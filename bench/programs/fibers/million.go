package main

import "fmt"

func main() {
	c := make(chan int, 1024)
	for i := 0; i < 1000000; i++ {
		go func() { c <- i }()
	}
	total := 0
	for i := 0; i < 1000000; i++ {
		total += <-c
	}
	fmt.Println(total)
}
