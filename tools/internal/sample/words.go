package sample

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Names are invented; they hold the letters that records systems really hold.
var (
	firstNames = []string{
		"Zoë", "Łukasz", "María", "Siân", "Nguyệt", "José", "Aiyana", "Björn", "Chloé", "Dmitri",
		"Eleni", "Fátima", "Grace", "Hélène", "Imani", "Jürgen", "Keiko", "Leilani", "Małgorzata", "Noor",
		"Oisín", "Priya", "Quentin", "Renée", "Søren", "Tomás", "Ulrike", "Víctor", "Wren", "Ximena",
	}
	lastNames = []string{
		"Marlowe-Finch", "O'Brannagh", "Núñez Ibarra", "Vantongeren", "Müllerstein", "Åkerlund", "Đặngvale", "Szczepanik", "Holloway", "Abernathy",
		"Castellan", "D'Aubrey", "Okonjo-Hale", "Pemberwick", "Quillfeather", "Rådmark", "Tanakawa", "St. Clairmont", "Ōtahara", "Wexcombe",
	}
	streets = []string{"Larkspur Ave", "Old Mill Rd", "17½ Street", "Peña Blvd", "Harbor Way", "N Quarry St", "Café Row", "Juniper Ct", "Founders' Sq", "Weir Lane"}
	places  = []string{"behind the loading dock", "at the front desk", "in the stairwell, level 2", "near the bus shelter", "by the river path", "in the parking structure"}
	acts    = []string{"reported a missing bicycle", "heard glass breaking", "returned a found wallet", "saw a vehicle leave at speed", "asked for a welfare check", "turned over the receipt"}
)

func pick(r *rand.Rand, words []string) string { return words[r.IntN(len(words))] }

func address(r *rand.Rand) string {
	return fmt.Sprintf("%d %s", 1+r.IntN(9800), pick(r, streets))
}

func fullName(r *rand.Rand) string {
	return pick(r, lastNames) + ", " + pick(r, firstNames)
}

func sentence(r *rand.Rand) string {
	return fmt.Sprintf("%s %s %s %s.", pick(r, firstNames), pick(r, lastNames), pick(r, acts), pick(r, places))
}

// narrative is a note of several lines with quotes and commas, sometimes long.
func narrative(r *rand.Rand) string {
	var b strings.Builder
	paragraphs := 1 + r.IntN(3)
	if r.IntN(200) == 0 {
		paragraphs = 60
	}
	for i := range paragraphs {
		if i > 0 {
			b.WriteString("\n")
		}
		b.WriteString(sentence(r))
		switch r.IntN(5) {
		case 0:
			fmt.Fprintf(&b, "\nWitness said: \"I was %s, then I left.\"", pick(r, places))
		case 1:
			b.WriteString(" Item tagged № " + fmt.Sprint(r.IntN(1000)) + " – sealed ✓")
		case 2:
			b.WriteString("\n\tsee also; \"25%\" of the footage, camera #3")
		}
	}
	return b.String()
}

// vinDigits are the characters of a vehicle identification number.
const vinDigits = "0123456789ABCDEFGHJKLMNPRSTUVWXYZ"

// vin gives each row a number of its own that does not grow with the row's.
func vin(c cell) value {
	n := uint64(c.id) * 0x9E3779B97F4A7C15 // odd, so no two rows meet
	var b [17]byte
	copy(b[:], "5YX")
	for i := 3; i < 16; i++ {
		b[i] = vinDigits[n%33]
		n /= 33
	}
	b[16] = vinDigits[c.id%33]
	return same(string(b[:]))
}
