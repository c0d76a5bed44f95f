package eval

// piqa is PIQA (Bisk et al. 2020): which of two ways reaches a goal.
var piqa = chooseTask(Task{Sets: []string{"piqa"}}, func(r *Row) (question, error) {
	goal, err := r.text("goal")
	if err != nil {
		return question{}, err
	}
	options := make([]string, 2)
	for i, field := range []string{"sol1", "sol2"} {
		if options[i], err = r.text(field); err != nil {
			return question{}, err
		}
	}
	answer, err := r.index(2, "label")
	return question{
		context: "Question: " + goal + "\nAnswer:",
		choices: []string{" " + options[0], " " + options[1]},
		answer:  answer,
	}, err
})
