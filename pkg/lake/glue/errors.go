package glue

import (
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/glue/types"
	"github.com/aws/smithy-go"
)

func isNotFound(err error) bool {
	var e *types.EntityNotFoundException
	return errors.As(err, &e)
}

func isThere(err error) bool {
	var e *types.AlreadyExistsException
	return errors.As(err, &e)
}

// isSecond reports that the table has another version by now.
func isSecond(err error) bool {
	var e *types.ConcurrentModificationException
	return errors.As(err, &e)
}

// isDenied reports that a right is missing, of IAM or Lake Formation. Operations that
// do not list the error give it as a plain one.
func isDenied(err error) bool {
	var e smithy.APIError
	return errors.As(err, &e) && e.ErrorCode() == "AccessDeniedException"
}

// refusal says what was asked of what, and what to do where a right is missing.
func refusal(action, on string, err error) error {
	if isDenied(err) {
		return fmt.Errorf("%s on %s is denied: allow it on the catalog, the database and the table, in IAM and, where it governs the database, in Lake Formation: %w",
			action, on, err)
	}
	return fmt.Errorf("%s on %s: %w", action, on, err)
}
