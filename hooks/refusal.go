package hooks

// Refusal is an error whose answer somebody else has decided on: the app, in answer to
// a hook. The doors give it to the client as it is.
type Refusal struct {
	Status int // 400 to 599
	Header map[string]string
	Body   string
}

func (r *Refusal) Error() string { return "the app refuses it: " + r.Body }
