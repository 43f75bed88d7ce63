// Reads docker/compose.yaml as Docker Compose does, once for each profile, and checks what Compose itself would find only when
// it starts the containers.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

func main() {
	file, profiles := os.Args[1], os.Args[2:]
	failed := false
	for _, profile := range profiles {
		found := check(file, profile)
		for _, problem := range found {
			failed = true
			fmt.Fprintf(os.Stderr, "%s, profile %s: %s\n", file, profile, problem)
		}
	}
	if failed {
		os.Exit(1)
	}
}

func check(file, profile string) (problems []string) {
	options, err := cli.NewProjectOptions([]string{file}, cli.WithProfiles([]string{profile}))
	if err != nil {
		return []string{err.Error()}
	}
	// Unknown fields, dependencies on what is not there, circles and volumes that nobody declares are refused here.
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return []string{err.Error()}
	}
	say := func(service, format string, values ...any) {
		problems = append(problems, service+": "+fmt.Sprintf(format, values...))
	}
	for _, wanted := range []string{"worker-" + profile, "api-" + profile, "migrate-" + profile, "prometheus", "grafana"} {
		if _, there := project.Services[wanted]; !there {
			say(wanted, "is not started")
		}
	}
	for name, service := range project.Services {
		for _, port := range service.Ports {
			if port.HostIP != "127.0.0.1" {
				say(name, "port %d is published off loopback", port.Target)
			}
		}
		for _, volume := range service.Volumes {
			if volume.Type == types.VolumeTypeBind {
				if info, err := os.Stat(volume.Source); err != nil || info.IsDir() {
					say(name, "mounts %s, which is no file", volume.Source)
				}
			}
		}
		for on, dependency := range service.DependsOn {
			awaited := project.Services[on]
			switch dependency.Condition {
			case types.ServiceConditionHealthy:
				if awaited.HealthCheck == nil || awaited.HealthCheck.Disable {
					say(name, "waits for the health of %s, which has no health check", on)
				}
			case types.ServiceConditionCompletedSuccessfully:
				if awaited.Restart != "" && awaited.Restart != types.RestartPolicyNo {
					say(name, "waits for the end of %s, which is restarted", on)
				}
			}
		}
		if service.Build != nil && !service.ReadOnly {
			say(name, "may write to its root")
		}
		if !strings.Contains(service.Image, ":") && service.Build == nil {
			say(name, "image %s has no version", service.Image)
		}
	}
	if len(problems) == 0 {
		fmt.Printf("%s, profile %s: %d services\n", file, profile, len(project.Services))
	}
	return problems
}
