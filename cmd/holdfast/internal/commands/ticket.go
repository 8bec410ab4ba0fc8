package commands

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/holdfast-upload/holdfast/config"
	"github.com/holdfast-upload/holdfast/hooks/auth"
)

// createTicket prints a ticket, or the URL of the upload with the ticket in it.
func createTicket(_ context.Context, command config.Command, std IO) error {
	t := command.Ticket
	secrets, err := config.Secrets(t.Secrets, t.SecretFiles)
	if err != nil {
		return err
	}
	text, err := auth.Sign(secrets[0], auth.Ticket{
		Upload: t.Upload, Subject: t.Subject, Expires: time.Now().Add(t.Expires),
		MaxSize: int64(t.MaxSize), Create: t.Create, Download: t.Download,
	})
	if err != nil {
		return err
	}
	if t.URL != "" {
		text = auth.TicketURL(strings.TrimSuffix(t.URL, "/")+"/"+t.Upload, text)
	}
	_, err = fmt.Fprintln(std.Stdout, text)
	return err
}
