package cases

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
)

// allUpTo is the number of steps up to which every permutation is delivered;
// manyOrders is how many of a longer case's are.
const (
	allUpTo    = 4
	manyOrders = 24
)

// Orders gives the orders in which to deliver the steps, as indexes: the listed
// one first, and where the case allows any order, every other one of up to four
// steps, else 24 distinct ones in all that are the same in every run. limit > 0
// bounds their number. A redelivery never comes before what it repeats: the
// first delivery of an object is the put, whichever event told of it.
func (c *Case) Orders(limit int) [][]int {
	listed := make([]int, len(c.Steps))
	for i := range listed {
		listed[i] = i
	}
	orders := [][]int{listed}
	if limit <= 0 {
		limit = manyOrders
	}
	if c.DeliveryOrder != AnyOrder {
		return orders
	}
	seen := map[string]bool{fmt.Sprint(listed): true}
	add := func(order []int) bool {
		order = c.putFirst(order)
		if id := fmt.Sprint(order); !seen[id] {
			seen[id] = true
			orders = append(orders, order)
		}
		return len(orders) < limit
	}
	if limit == 1 {
		return orders
	}
	if len(c.Steps) <= allUpTo {
		permutations(listed, add)
		return orders
	}
	h := fnv.New64a()
	h.Write([]byte(c.Name))
	rng := rand.New(rand.NewPCG(h.Sum64(), 0))
	limit = min(limit, manyOrders)
	for range 100 * manyOrders {
		order := slices.Clone(listed)
		rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		if !add(order) {
			break
		}
	}
	return orders
}

// putFirst swaps a redelivery with its put where it would come earlier.
func (c *Case) putFirst(order []int) []int {
	order = slices.Clone(order)
	for i, step := range order {
		if c.Steps[step].Action != Redeliver {
			continue
		}
		for j := i + 1; j < len(order); j++ {
			if later := c.Steps[order[j]]; later.Action == Put && later.same(c.Steps[step]) {
				order[i], order[j] = order[j], order[i]
				break
			}
		}
	}
	return order
}

// permutations calls yield with every permutation in lexical order until it
// returns false.
func permutations(items []int, yield func([]int) bool) {
	var extend func(prefix, rest []int) bool
	extend = func(prefix, rest []int) bool {
		if len(rest) == 0 {
			return yield(prefix)
		}
		for i, item := range rest {
			left := slices.Concat(rest[:i], rest[i+1:])
			if !extend(append(slices.Clone(prefix), item), left) {
				return false
			}
		}
		return true
	}
	extend(nil, items)
}
