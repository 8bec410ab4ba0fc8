package auth_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/hooks/auth"
	"github.com/holdfast-upload/holdfast/hooks/protocol"
	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

func withPrincipal(c protocol.Principal) context.Context {
	return protocol.WithPrincipal(context.Background(), c)
}

func withSubject(name string) context.Context {
	return withPrincipal(protocol.Principal{Subject: name})
}

// An upload can be found by its owner and with a ticket of its owner for it, and not
// otherwise.
func TestAuthorizeHidesUploadsOfOtherOwners(t *testing.T) {
	whole := ranges.NewSet(ranges.Of(0, 10))
	live := storage.Upload{Record: storage.Record{ID: "it", Size: 10, Owner: "anna"}}
	complete := storage.Upload{Record: live.Record, Received: whole}
	concatenated := storage.Upload{Record: storage.Record{ID: "it", Size: 10, Owner: "anna", Parts: []string{"a"}}}
	unowned := storage.Upload{Record: storage.Record{ID: "it", Size: 10}}
	ticket := func(subject, upload string, denyDownload bool) context.Context {
		return withPrincipal(protocol.Principal{Subject: subject, Grant: &protocol.Grant{Upload: upload, DenyDownload: denyDownload}})
	}
	for name, c := range map[string]struct {
		ctx  context.Context
		up   storage.Upload
		want error
	}{
		"its owner":                        {withSubject("anna"), live, nil},
		"another subject":                  {withSubject("bert"), live, storage.ErrNotFound},
		"an anonymous principal":           {withSubject(""), live, storage.ErrNotFound},
		"an upload without an owner":       {withSubject("anna"), unowned, storage.ErrNotFound},
		"the server itself":                {context.Background(), live, nil},
		"a ticket":                         {ticket("anna", "it", false), live, nil},
		"a ticket for any owner":           {ticket("", "it", false), live, nil},
		"a ticket for another upload":      {ticket("anna", "other", false), live, storage.ErrForbidden},
		"a ticket of another owner":        {ticket("bert", "it", false), live, storage.ErrNotFound},
		"a ticket of another, complete":    {ticket("bert", "it", true), complete, storage.ErrNotFound},
		"a ticket without download":        {ticket("anna", "it", true), live, nil},
		"a ticket without download, whole": {ticket("anna", "it", true), complete, nil},
		"a ticket without, concatenated":   {ticket("anna", "it", true), concatenated, nil},
		"a ticket with download, whole":    {ticket("anna", "it", false), complete, nil},
	} {
		if err := auth.Authorize(c.ctx, c.up); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// A principal owns what it creates, within its limits, and under an id that it may use.
func TestBeforeCreateEnforcesThePrincipalsLimits(t *testing.T) {
	limits := protocol.Limits{MaxSize: 100, ExpireAfter: time.Hour, IDPrefix: "anna-"}
	anna := withPrincipal(protocol.Principal{Subject: "anna", Limits: limits})
	grant := func(create bool) context.Context {
		return withPrincipal(protocol.Principal{Subject: "anna", Grant: &protocol.Grant{Upload: "it", Create: create}})
	}
	for name, c := range map[string]struct {
		ctx  context.Context
		rec  storage.Record
		want storage.Record
		err  error
	}{
		"an id of the server":      {anna, storage.Record{ID: "x", Size: 5}, storage.Record{ID: "anna-x", Owner: "anna", MaxSize: 100, ExpireAfter: time.Hour}, nil},
		"a chosen id":              {anna, storage.Record{ID: "anna-1", Size: 5, ClientChosenID: true}, storage.Record{ID: "anna-1", Owner: "anna", MaxSize: 100, ExpireAfter: time.Hour}, nil},
		"an id without the prefix": {anna, storage.Record{ID: "bert-1", Size: 5, ClientChosenID: true}, storage.Record{}, storage.ErrForbidden},
		"more than MaxSize":        {anna, storage.Record{ID: "x", Size: 101}, storage.Record{}, storage.ErrTooLarge},
		"a smaller limit":          {anna, storage.Record{ID: "x", Size: 5, MaxSize: 50}, storage.Record{ID: "anna-x", Owner: "anna", MaxSize: 50, ExpireAfter: time.Hour}, nil},
		"a larger limit":           {anna, storage.Record{ID: "x", Size: 5, MaxSize: 500}, storage.Record{ID: "anna-x", Owner: "anna", MaxSize: 100, ExpireAfter: time.Hour}, nil},
		"a lifetime set by the app": {withSubject("bert"), storage.Record{ID: "x", Size: 5, ExpireAfter: time.Minute},
			storage.Record{ID: "x", Owner: "bert", ExpireAfter: time.Minute}, nil},
		"the owner in the request is ignored": {withSubject("bert"), storage.Record{ID: "x", Size: 5, Owner: "anna"}, storage.Record{ID: "x", Owner: "bert"}, nil},
		"by a ticket":                         {grant(true), storage.Record{ID: "it", Size: 5, ClientChosenID: true}, storage.Record{ID: "it", Owner: "anna"}, nil},
		"by a ticket, no id":                  {grant(true), storage.Record{ID: "x", Size: 5}, storage.Record{ID: "it", Owner: "anna"}, nil},
		"by a ticket, another id":             {grant(true), storage.Record{ID: "x", Size: 5, ClientChosenID: true}, storage.Record{}, storage.ErrForbidden},
		"by a ticket without create":          {grant(false), storage.Record{ID: "it", Size: 5, ClientChosenID: true}, storage.Record{}, storage.ErrForbidden},
		"by the server itself":                {context.Background(), storage.Record{ID: "x", Size: 500}, storage.Record{ID: "x"}, nil},
	} {
		rec := c.rec
		err := auth.BeforeCreate(c.ctx, &rec)
		if !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", name, err, c.err)
		}
		if err == nil && (rec.ID != c.want.ID || rec.Owner != c.want.Owner || rec.MaxSize != c.want.MaxSize || rec.ExpireAfter != c.want.ExpireAfter) {
			t.Errorf("%s: %+v, want %+v", name, rec, c.want)
		}
	}
}

// A ticket allows querying and sending; DenyDownload is how the protocol knows what it does not.
func TestATicketAllowsOnlyItsMethods(t *testing.T) {
	serve := protect(t, auth.Options{TicketSecrets: []string{secret}, TicketTTL: time.Hour})
	ticket := func(change func(*auth.Ticket)) string {
		of := auth.Ticket{Upload: "it", Subject: "anna", Expires: time.Now().Add(time.Hour)}
		change(&of)
		text, err := auth.Sign(secret, of)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	plain := ticket(func(*auth.Ticket) {})
	creates := ticket(func(t *auth.Ticket) { t.Create = true })
	downloads := ticket(func(t *auth.Ticket) { t.Download = true })
	for _, c := range []struct {
		method, path, ticket string
		want                 int
		denyDownload         bool
	}{
		{"HEAD", "/files/it", plain, 204, false},
		{"GET", "/files/it", plain, 204, true},
		{"GET", "/files/it", downloads, 204, false},
		{"PUT", "/files/it", plain, 204, false},
		{"PATCH", "/files/it", plain, 204, false},
		{"POST", "/files/it", plain, 204, false},
		{"DELETE", "/files/it", plain, 403, false},
		{"DELETE", "/files/it", creates, 403, false},
		{"POST", "/files/", plain, 403, false},
		{"POST", "/files/", creates, 204, false},
		{"PUT", "/files/", creates, 403, false},
		{"PUT", "/files/other", creates, 403, false},
	} {
		got, as := serve(httptest.NewRequest(c.method, auth.TicketURL(c.path, c.ticket), nil))
		if got != c.want || got == 204 && (as.Grant == nil || as.Grant.DenyDownload != c.denyDownload || as.Subject != "anna") {
			t.Errorf("%s %s: %d as %+v, want %d", c.method, c.path, got, as, c.want)
		}
	}
}

// A ticket must not be exchanged for a new one: it would never expire.
func TestTicketsAreIssuedOnlyToPrincipalsWithAToken(t *testing.T) {
	a, err := auth.New(auth.Options{JWTSecrets: []string{secret}, TicketSecrets: []string{secret}, TicketTTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	up := storage.Upload{Record: storage.Record{ID: "it", Owner: "anna"}}
	for name, c := range map[string]struct {
		ctx  context.Context
		up   storage.Upload
		want bool
	}{
		"a token":      {withSubject("anna"), up, true},
		"a ticket":     {withPrincipal(protocol.Principal{Subject: "anna", Grant: &protocol.Grant{Upload: "it"}}), up, false},
		"no principal": {context.Background(), up, false},
		"no upload":    {withSubject("anna"), storage.Upload{}, false},
	} {
		query := a.TicketIssuer()(httptest.NewRequest("PUT", "/files/it", nil).WithContext(c.ctx), c.up)
		if got := strings.HasPrefix(query, "?ticket="); got != c.want {
			t.Errorf("%s: %q, want a ticket %v", name, query, c.want)
		}
	}
	for _, opts := range []auth.Options{{TicketSecrets: []string{secret}}, {TicketTTL: time.Hour}} {
		none, err := auth.New(opts)
		if err != nil {
			t.Fatal(err)
		}
		defer none.Close()
		if none.TicketIssuer() != nil {
			t.Errorf("%+v issues tickets", opts)
		}
	}
}

// Responses depend on the principal.
func TestAuthenticatedResponsesAreNotCachedByProxies(t *testing.T) {
	opts := auth.Options{JWTSecrets: []string{secret}, URLs: protocol.URLs{BasePath: "/files/"}}
	a, err := auth.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/files/it", nil)
	r.Header.Set("Authorization", "Bearer "+signed(t, "JWT", map[string]any{"sub": "anna", "exp": time.Now().Add(time.Hour).Unix()}))
	route(a, &openProtocol{}).ServeHTTP(w, r)
	if c := w.Header().Get("Cache-Control"); w.Code != 204 || !strings.Contains(c, "private") {
		t.Errorf("%d, Cache-Control %q", w.Code, c)
	}
}
