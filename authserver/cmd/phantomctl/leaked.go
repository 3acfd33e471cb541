package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/spf13/cobra"
)

// leakedAnswer is what became of one batch.
type leakedAnswer struct {
	Revoked  int64 `json:"revoked"`
	Ended    int64 `json:"ended"`
	Unknown  int64 `json:"unknown"`
	Sequence int64 `json:"sequence"`
}

func (p program) leakedCommand(s *settings) *cobra.Command {
	var progressFile string
	c := &cobra.Command{
		Use:   "revoke-leaked FILE",
		Short: "End what a file of leaked references stands for, one a line; it may have millions",
		Long: `End what a file of leaked references (or jti) stands for, one a line; - reads standard input. Blank lines and lines that
begin with # are passed over. After each batch that was answered, FILE.progress says how far it is, and the same command goes
on there. What was ended already is counted and left alone, so a file may also be sent again from the start.`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] == "" {
				return usagef("name one FILE with the references, one a line, or - for standard input")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			api, err := p.client(s)
			if err != nil {
				return err
			}
			run := leakedRun{program: p, api: api, name: args[0], file: progressFile}
			if run.file == "" && run.name != "-" {
				run.file = run.name + ".progress"
			}
			return run.start(c.Context())
		},
	}
	c.Flags().StringVar(&progressFile, "progress", "", "keep the progress in this `FILE` (default: FILE.progress; of standard input: nowhere)")
	return c
}

// leakedRun is one run over a file.
type leakedRun struct {
	program
	api        *client
	name, file string // of the references; of the progress, empty: none is kept
	progress   *progress
	meter      *meter
}

func (r *leakedRun) start(ctx context.Context) error {
	in := r.in
	if r.name != "-" {
		file, err := os.Open(r.name)
		if err != nil {
			return usagef("%w; name the file that has the references, one a line", err)
		}
		defer func() { _ = file.Close() }() // only read
		in = file
	}
	source := readLines(in)
	var err error
	if r.progress, err = loadProgress(r.file, r.api.issuer); err != nil {
		return err
	}
	if r.progress == nil {
		r.progress = &progress{Issuer: r.api.issuer, place: source.place()}
	} else if err := source.skip(r.progress.place); err != nil {
		return usagef("%s: %w; name another file with --progress, or remove %s to begin at the start", r.name, err, r.file)
	}
	if err := r.progress.save(r.file); err != nil { // now, not after a batch was sent
		return err
	}
	r.meter = r.program.meter(r.progress.Sent)
	r.api.tell = r.meter.say
	if r.progress.Offset > 0 {
		r.meter.say("going on after line %d", r.progress.Lines)
	}
	defer context.AfterFunc(ctx, func() { r.meter.say("ending after the batch under way; once more ends at once") })()
	err = r.batches(ctx, source)
	r.meter.finish()
	if err != nil {
		return r.toBeContinued(err)
	}
	return r.summary()
}

// batches sends them one after the other: the one that was answered last is how far the run is.
func (r *leakedRun) batches(ctx context.Context, source *lines) error {
	for b := range read(ctx, source) {
		if ctx.Err() != nil {
			break
		}
		var told leakedAnswer
		if len(b.references) > 0 {
			q := question{method: http.MethodPost, path: "/admin/v1/revocations/leaked", body: map[string]any{"tokens": b.references}}
			err := r.api.retry(ctx, long, func() error { return r.api.once(context.WithoutCancel(ctx), q, &told) })
			if err != nil {
				return err
			}
		}
		r.progress.add(b, told)
		if err := r.progress.save(r.file); err != nil {
			return err
		}
		r.meter.show(r.progress)
		if errors.Is(b.err, io.EOF) {
			return nil
		}
		if b.err != nil {
			return b.err
		}
	}
	return errors.New("ended as asked")
}

// read gives batches until the file or the context ends. It reads beside what is sent, since nothing else can end a run that
// waits at a pipe.
func read(ctx context.Context, source *lines) func(yield func(batch) bool) {
	return func(yield func(batch) bool) {
		batches := make(chan batch)
		stop := make(chan struct{})
		defer close(stop)
		go func() {
			for {
				b := source.batch()
				select {
				case batches <- b:
				case <-stop:
					return
				}
				if b.err != nil {
					return
				}
			}
		}()
		for {
			select {
			case b := <-batches:
				if !yield(b) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}

// toBeContinued says how to go on.
func (r *leakedRun) toBeContinued(err error) error {
	done := fmt.Sprintf("%d references were answered: %s", r.progress.Sent, counts(r.progress))
	if r.file == "" {
		return fmt.Errorf("%w\n%s. No progress was kept (see --progress): send it all again, which changes nothing of what is done", err, done)
	}
	return fmt.Errorf("%w\n%s. Run the same command again: it goes on after line %d, as %s says", err, done, r.progress.Lines, r.file)
}

func (r *leakedRun) summary() error {
	p := r.progress
	fmt.Fprintf(r.out, "%d references: %s\n", p.Sent, counts(p))
	if p.Sequence > 0 {
		fmt.Fprintf(r.out, "a gateway has applied them when its position is %d (phantomctl gateways)\n", p.Sequence)
	}
	if p.Unusable > 0 {
		return fmt.Errorf("%d lines can be no reference and were not sent, the first of them line %d: "+
			"the file must have one reference a line, and nothing else in it", p.Unusable, p.First)
	}
	return nil
}
